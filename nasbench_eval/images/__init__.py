"""Image data sets as tensors on the device of the search; torch is imported when images are loaded."""

from nasbench_eval.images.augment import Augment
from nasbench_eval.images.catalogue import DATASETS
from nasbench_eval.images.datasets import ImageData, Images, Reduction
from nasbench_eval.images.load import load_images

__all__ = ["DATASETS", "Augment", "ImageData", "Images", "Reduction", "load_images"]
