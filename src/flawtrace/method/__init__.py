"""The paper: an autoencoder, the loss profile of its training, the policy that feeds it, the predictor.

Tensors enter (`Material`, made by `prepare`); a `Cycle` is one life of the autoencoder, and what leaves is a
`Reader`, which shows images the way predictors see them. Nothing here reads a folder's layout, writes a file
or chooses a threshold.
"""

from flawtrace.method import autoencoder, encoder, predictor, sampler
from flawtrace.method.cycle import Cycle, scout
from flawtrace.method.encoder import Features, Pixels
from flawtrace.method.environment import PatchEnv
from flawtrace.method.material import Material, Prepared, covered, encode, of_other_days, prepare
from flawtrace.method.memory import Memory
from flawtrace.method.novelty import Novelty
from flawtrace.method.patches import clamp, crop
from flawtrace.method.ppo import Episode, PolicyStats
from flawtrace.method.predictor import Blended, Compact, Predictor, Views
from flawtrace.method.reader import Reader
from flawtrace.method.reward import Feedback

__all__ = [
    "Blended",
    "Compact",
    "Cycle",
    "Episode",
    "Features",
    "Feedback",
    "Material",
    "Memory",
    "Novelty",
    "PatchEnv",
    "Pixels",
    "PolicyStats",
    "Predictor",
    "Prepared",
    "Reader",
    "Views",
    "autoencoder",
    "clamp",
    "covered",
    "crop",
    "encode",
    "encoder",
    "of_other_days",
    "predictor",
    "prepare",
    "sampler",
    "scout",
]
