"""Imports torch in the interpreter under examination and tries every GPU (`--deep`); prints one JSON document."""

import importlib
import json
import sys


def ask() -> "dict[str, object]":
    """Return what torch says of itself, or why it does not import."""
    del sys.path[0]  # this script's own folder
    try:
        torch = importlib.import_module("torch")  # by name: the doctor itself never imports it
    except Exception as why:  # noqa: BLE001 — whatever a broken installation raises is the answer
        return {"error": "{}: {}".format(type(why).__name__, why)}  # noqa: UP032 — f-strings may not nest quotes in 3.6
    get_archs = getattr(torch._C, "_cuda_getArchFlags", None)  # noqa: SLF001 — get_arch_list() hides it without a GPU
    usable, gpu_error = 0, ""
    for index in range(torch.cuda.device_count()):
        try:
            total = float(torch.ones(2, device="cuda:%d" % index).sum())  # noqa: UP031 — Python 3.6
            usable += int(total == 2)
        except Exception as why:  # noqa: BLE001, PERF203 — as above
            gpu_error = str(why)[:500]
    archs = (get_archs() or "").split() if get_archs else []
    abi = getattr(torch._C, "_GLIBCXX_USE_CXX11_ABI", None)  # noqa: SLF001 — the public function is younger
    answer = {"version": torch.__version__, "cuda": torch.version.cuda, "archs": archs, "cxx11_abi": abi}
    return dict(answer, usable=usable, gpu_error=gpu_error)


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(ask()) + "\n")
