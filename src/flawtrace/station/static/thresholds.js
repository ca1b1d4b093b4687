/** What thresholds of the score do to held-out images: counts, intervals, and a histogram. */

const CONFIDENCE = 0.95;

/** False alarms, misses and unsure verdicts of held-out scores at two thresholds. */
export function errors(heldOut, defect, unsure) {
  const between = (score) => score >= unsure && score < defect;
  return {
    alarms: { count: heldOut.normal.filter((score) => score >= defect).length, of: heldOut.normal.length },
    misses: { count: heldOut.anomalous.filter((score) => score < unsure).length, of: heldOut.anomalous.length },
    unsure: { count: [...heldOut.normal, ...heldOut.anomalous].filter(between).length, of: heldOut.normal.length + heldOut.anomalous.length },
  };
}

/** The rates that are compatible with so many errors, at 95 % (Clopper and Pearson 1934). */
export function interval({ count, of }) {
  const tail = (1 - CONFIDENCE) / 2;
  return [
    count === 0 ? 0 : quantile(tail, count, of - count + 1),
    count === of ? 1 : quantile(1 - tail, count + 1, of - count),
  ];
}

/** How many scores fall into each of `bins` equal parts of [0, 1]. */
export function histogram(scores, bins) {
  const counts = new Array(bins).fill(0);
  for (const score of scores) counts[Math.min(bins - 1, Math.floor(score * bins))] += 1;
  return counts;
}

/** A quantile of the beta distribution, by bisection: 60 steps are beyond the precision of a number. */
function quantile(share, a, b) {
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (incompleteBeta(middle, a, b) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularized incomplete beta function for whole a and b: P(at least a of a + b - 1 succeed). */
function incompleteBeta(x, a, b) {
  const n = a + b - 1;
  let [sum, logOfChoice] = [0, 0];
  for (let k = 0; k <= n; k += 1) {
    if (k > 0) logOfChoice += Math.log(n - k + 1) - Math.log(k);
    if (k >= a) sum += Math.exp(logOfChoice + k * Math.log(x) + (n - k) * Math.log1p(-x));
  }
  return Math.min(1, sum);
}
