"""TensorBoard's files, read back with TensorBoard's own backend."""

from __future__ import annotations

import pathlib
import sys
import types
from typing import Any


class Reader:
    """A folder of logs as TensorBoard's server sees it."""

    def __init__(self, folder: pathlib.Path) -> None:
        # As where TensorFlow is not installed, which TensorBoard would import to read files: in one second instead of
        # ten. Only where nothing has imported it: Keras's callback for TensorBoard needs a TensorBoard that has it.
        if "tensorflow" not in sys.modules:
            sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
        from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
        from tensorboard.context import RequestContext
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import backend_context

        self.runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
        self.runs.Reload()
        provider = data_provider.MultiplexerDataProvider(self.runs, str(folder))
        self.request = RequestContext()
        context = base_plugin.TBContext(logdir=str(folder), multiplexer=self.runs, data_provider=provider)
        self.hparams = backend_context.Context(context)

    def session_groups(self) -> dict[str, Any]:
        """The rows of the HParams table by their names."""
        from tensorboard.plugins.hparams import api_pb2, list_session_groups

        statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
        request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=1000, allowed_statuses=statuses)
        answer = list_session_groups.Handler(self.request, self.hparams, "", request).run()
        names = [found.name for found in answer.session_groups]
        assert len(set(names)) == len(names)
        return dict(zip(names, answer.session_groups, strict=True))

    def configs(self) -> list[Any]:
        """The columns of the HParams table: one message for each that was written."""
        from tensorboard.plugins.hparams import metadata

        content = self.hparams.hparams_metadata(self.request, "")
        found = [tags[metadata.EXPERIMENT_TAG] for tags in content.values() if metadata.EXPERIMENT_TAG in tags]
        return [metadata.parse_experiment_plugin_data(config) for config in found]

    def scalars(self, run: str) -> dict[str, list[tuple[int, float]]]:
        """The curves of a run: step and number by tag."""
        import tensorboard.util.tensor_util as tensor_util

        tags = self.runs.PluginRunToTagToContent("scalars").get(run, {})
        return {
            tag: [
                (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
                for event in self.runs.Tensors(run, tag)
            ]
            for tag in tags
        }

    def steps(self, run: str, tag: str) -> list[int]:
        """The steps of a tag."""
        return [event.step for event in self.runs.Tensors(run, tag)]

    def text(self, run: str, tag: str) -> str:
        """The last text of a tag."""
        return str(self.runs.Tensors(run, tag)[-1].tensor_proto.string_val[0], "utf-8")


def metric_values(found: Any) -> dict[str, float]:
    """The numbers of a session, or of a group of sessions, by tag."""
    return {value.name.tag: value.value for value in found.metric_values}
