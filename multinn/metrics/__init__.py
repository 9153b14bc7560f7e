"""Metrics: functions of outputs and targets that are reported, not minimized.

A metric is called as ``metric(backend, outputs, targets, weights)`` and returns the weighted mean over
the examples of a batch, a scalar array. ``SomeLoss().value`` is a metric, too. A metric that is
not a mean, such as `F1`, is a `CombinedMetric`, whose value over many batches is exact, too. `OfHead` is
the metric of one of several outputs.
"""

from multinn.metrics.accuracy import Accuracy as Accuracy
from multinn.metrics.accuracy import accuracy as accuracy
from multinn.metrics.accuracy import binary_accuracy as binary_accuracy
from multinn.metrics.base import CombinedMetric as CombinedMetric
from multinn.metrics.base import Metric as Metric
from multinn.metrics.base import check_metrics as check_metrics
from multinn.metrics.base import check_names as check_names
from multinn.metrics.base import reduction_of as reduction_of
from multinn.metrics.classes import F1 as F1
from multinn.metrics.classes import Precision as Precision
from multinn.metrics.classes import Recall as Recall
from multinn.metrics.descriptions import build_metric as build_metric
from multinn.metrics.descriptions import describe_metric as describe_metric
from multinn.metrics.heads import OfHead as OfHead
from multinn.metrics.r2 import R2 as R2
from multinn.metrics.top_k import TopK as TopK
