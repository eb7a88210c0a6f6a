"""Messages of checkpoints: not there, damaged, or of another model."""

from doctor.logs.signature import ROOT, SYMPTOM, Signature

SIGNATURES = (
    Signature(
        name="checkpoint-not-there",
        category="checkpoint-mismatch",
        rank=ROOT,
        needles=("is not a checkpoint file", "checkpoint", ".pth", ".pt'", ".ckpt", "can not be found", "safetensors"),
        patterns=(
            r"(?P<file>\S+) is not a checkpoint file",
            r"(?:No such file or directory|[Cc]heckpoint not found|FileNotFoundError|does not exist).{0,80}?'?(?P<file2>[^\s'\"]+\.(?:pth|pt|ckpt|safetensors|pth\.tar))",
            r"(?P<file3>[^\s'\"]+\.(?:pth|ckpt|safetensors)) (?:can ?not be found|does not exist|not found)",
        ),
        saw="{file} is not there: a relative path from another folder, a leading slash too many, or it was never downloaded",
        fix=("ls -l {file} # from the folder in which the command runs",),
        sample="OSError: checkpoints/bevformer_base.pth is not a checkpoint file",
    ),
    Signature(
        name="checkpoint-of-another-model",
        category="checkpoint-mismatch",
        rank=ROOT,
        needles=(
            "size mismatch for",
            "error(s) in loading state_dict",
            "doesn't match the size of optimizer",
            "different number of parameter groups",
            "missing key(s) in state_dict",
            "unexpected key(s) in state_dict",
        ),
        patterns=(
            r"size mismatch for (?P<key>[\w.]+)",
            r"Error\(s\) in loading state_dict",
            r"doesn't match the size of optimizer",
            r"different number of parameter groups",
            r"(?:Missing|Unexpected) key\(s\) in state_dict",
        ),
        saw="the checkpoint belongs to another configuration than the model that loads it ({key})",
        fix=(
            "use the config that stands beside the checkpoint in the model zoo; an mAP of 0.0000 with an NDS of about 0.03 is what follows where it is not an error",
        ),
        sample="size mismatch for pts_bbox_head.cls_branches.0.weight: copying a param with shape torch.Size([10, 256]) from checkpoint",
    ),
    Signature(
        name="checkpoint-keys-differ",
        category="checkpoint-mismatch",
        confidence="guess",
        rank=SYMPTOM,
        needles=("do not match exactly",),
        patterns=(r"model and loaded state dict do not match exactly",),
        saw="some keys of the checkpoint and the model differ: harmless for a backbone's classifier (fc), wrong for a whole model",
        fix=("read the lists of missing and unexpected keys that follow",),
        sample="The model and loaded state dict do not match exactly",
    ),
    Signature(
        name="checkpoint-damaged",
        category="checkpoint-mismatch",
        needles=(
            "pytorchstreamreader failed",
            "invalid load key",
            "unexpected eof",
            "invalid magic number",
            "corrupted",
            "invalid header or archive",
        ),
        patterns=(
            r"PytorchStreamReader failed",
            r"invalid load key",
            r"[Uu]nexpected EOF, expected \d+ more bytes",
            r"Invalid magic number; corrupt file",
            r"file (?:might|may) be corrupted",
            r"invalid header or archive is corrupted",
        ),
        saw="the checkpoint file is damaged, cut short, or not a checkpoint at all (a web page, a git-lfs pointer)",
        fix=("ls -l FILE; head -c 200 FILE # a few hundred bytes of text? fetch it again: git lfs pull",),
        sample="RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
    ),
    Signature(
        name="weights-only",
        category="checkpoint-mismatch",
        rank=ROOT,
        needles=("weights only load failed", "weights_only", "unsupported global"),
        patterns=(
            r"Weights[- ]only load failed",
            r"Unsupported (?:global|operand|class)",
        ),
        saw="the file holds more than tensors, and PyTorch 2.6 and newer only load tensors by default",
        fix=(
            "from a source that you trust: torch.serialization.add_safe_globals([...]) with the classes that the message names; never weights_only=False for a file of strangers",
        ),
        sample="_pickle.UnpicklingError: Weights only load failed. This file can still be loaded",
    ),
)
