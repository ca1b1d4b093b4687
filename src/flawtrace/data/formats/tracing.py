"""From masks to polygons, for formats that know nothing else; filled again, they give the same mask."""

import numpy as np
from scipy.spatial import KDTree
from skimage.measure import label as numbered
from skimage.measure import regionprops

from flawtrace.data.formats.annotated import Plane, Points
from flawtrace.pictures.contours import contours


def polygons_of(mask: Plane) -> list[Points]:
    """One polygon for each 4-connected region; holes are joined to its outline by slits of no width."""
    regions = regionprops(numbered(mask, connectivity=1))
    return [_polygon(region.image) + np.array(region.bbox[1::-1]) for region in regions]


def _polygon(region: Plane) -> Points:
    """Half-way between pixels inside and outside, so that rounding moves no pixel's middle over the line."""
    rings = [ring[:, ::-1] for ring in contours(region)]
    outer, *holes = sorted((_straight(ring) for ring in rings), key=lambda ring: -np.ptp(ring, axis=0).prod())
    return _joined(outer, holes)[:-1]


def _straight(ring: Points) -> Points:
    """A closed ring without the points that lie on a straight line between their neighbours."""
    points = ring[:-1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    corners = points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return np.concatenate([corners, corners[:1]])


def _joined(outer: Points, holes: list[Points]) -> Points:
    """One closed ring that goes to each hole, around it, and back; the nearest hole is next."""
    whole, left = outer, list(holes)
    while left:
        tree = KDTree(whole)
        gaps = [tree.query(hole) for hole in left]
        nearest = min(range(len(left)), key=lambda index: float(gaps[index][0].min()))
        distances, places = gaps[nearest]
        there = int(distances.argmin())
        here, hole = int(places[there]), left.pop(nearest)
        around = np.concatenate([hole[there:-1], hole[: there + 1]])
        whole = np.concatenate([whole[: here + 1], around, whole[here:]])
    return whole
