"""Convolution and pooling of images, and of sequences as images of height 1."""
