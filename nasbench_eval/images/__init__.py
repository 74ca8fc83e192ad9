"""Image data sets as tensors on the device of the search; torch is imported when images are loaded."""

from nasbench_eval.images.augment import Augment
from nasbench_eval.images.data import ImageData, Images, Reduction, load_images
from nasbench_eval.images.files import DATASETS

__all__ = ["DATASETS", "Augment", "ImageData", "Images", "Reduction", "load_images"]
