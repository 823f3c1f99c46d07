"""Models of motion: from the state of a body, or its recent states, to the next one."""

from gait_trainers.models.motion.model import MotionModel as MotionModel
from gait_trainers.models.motion.spec import ModelSpec as ModelSpec
from gait_trainers.models.motion.spec import spec_of as spec_of
from gait_trainers.models.motion.storage import ModelError as ModelError
from gait_trainers.models.motion.storage import load_motion_model as load_motion_model
from gait_trainers.models.motion.storage import read_motion_model as read_motion_model
from gait_trainers.models.motion.storage import save_motion_model as save_motion_model
