"""The view of a trace as a widget of a notebook, which Python can follow and move."""

from collections.abc import Mapping
from typing import Any

from multinn.host.extras import extra
from multinn.tracing.page import script, style

_RENDER = """
function render({ model, el }) {
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to the view
  const onFrame = (frame) => {
    model.set("frame", frame);
    model.save_changes();
  };
  const view = mount(el, model.get("trace"), { frame: model.get("frame"), onFrame });
  const followFrame = () => {
    if (model.get("frame") !== view.frame) view.go(model.get("frame"));
  };
  const followTrace = () => view.update(model.get("trace"));
  model.on("change:frame", followFrame);
  model.on("change:trace", followTrace);
  return () => { // when this output is removed
    model.off("change:frame", followFrame);
    model.off("change:trace", followTrace);
  };
}
export default { render };
"""


def make_widget(trace: Mapping[str, Any]) -> Any:
    """Return a widget that shows a trace, given as its data.

    Returns:
        An `anywidget.AnyWidget`. The traits ``trace``, a dict, and ``frame``, the number of the frame
        that is shown, can be set.

    Raises:
        ImportError: anywidget is not installed.
    """
    with extra("notebook", "the widget of a trace needs anywidget"):
        import anywidget
        import traitlets

    class TraceWidget(anywidget.AnyWidget):
        """The view of a trace."""

        _esm = script() + _RENDER
        _css = style()
        trace = traitlets.Dict().tag(sync=True)
        frame = traitlets.Int(0).tag(sync=True)

    return TraceWidget(trace=dict(trace))
