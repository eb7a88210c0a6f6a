"""Messages of OpenMMLab packages whose generations do not go together."""

from doctor.logs.signature import ROOT, SYMPTOM, Signature

PINNED = "the set BEVFormer was written for: torch 1.9.1, mmcv-full 1.4.0, mmdet 2.14.0, mmsegmentation 0.14.1, mmdet3d 0.17.1, Python 3.8; bevready itself needs none of them"

SIGNATURES = (
    Signature(
        name="mm-version-guard",
        category="mm-stack-version-mismatch",
        rank=ROOT,
        needles=("is used but incompatible", "is incompatible. please install", "incompatible. please install mm"),
        patterns=(
            r"(?P<package>MM\w+|mm\w+)==(?P<version>\S+) is used but incompatible\. Please install (?P<wanted>[^.\n]*(?:\.\d[^.\n]*)*)",
            r"is incompatible\. Please install mm",
        ),
        saw="{package} {version} is installed; a package of another generation beside it wants {wanted}",
        fix=(
            "pip list | grep -i -E '^mm' # which one is of the wrong generation? A mmdetection3d/ folder beside the project counts too",
            PINNED,
        ),
        sample="AssertionError: MMCV==1.4.0 is used but incompatible. Please install mmcv>=2.0.0rc4, <2.2.0.",
    ),
    Signature(
        name="mmcv-1-module",
        category="mm-stack-version-mismatch",
        needles=("no module named 'mm", "no module named mm", "from 'mm"),
        patterns=(
            r"No module named '?(?P<module>mm(?:cv|det|det3d|seg|engine|segmentation|rotate|pretrain|cls|pose)(?!\w)(?:\.(?!_ext|ops)[\w.]+)?)'?",
            r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'?(?P<module2>mm(?:cv|det|det3d|seg|engine)(?!\.ops\.\w+\b.*_ext)[\w.]*)",
        ),
        saw="{module} is not there: the OpenMMLab package is missing, or of another generation than the code (mmcv.runner and mmcv.parallel ended with mmcv 1.x)",
        fix=("pip list | grep -i -E '^mm'", PINNED),
        sample="ModuleNotFoundError: No module named 'mmcv.parallel'",
    ),
    Signature(
        name="mmcv-attribute",
        category="mm-stack-version-mismatch",
        needles=("module 'mm",),
        patterns=(
            r"(?:partially initialized )?module '(?P<module>mm(?:cv|det|det3d|seg|engine)[\w.]*)' has no attribute '(?P<name>\w+)'",
        ),
        saw="{module} has no {name}: it is of another generation than the code, or a folder of that name stands in front of it",
        fix=("python3 -c 'import mmcv; print(mmcv.__version__, mmcv.__file__)'", PINNED),
        sample="AttributeError: module 'mmcv' has no attribute 'runner'",
    ),
    Signature(
        name="not-in-registry",
        category="mm-stack-version-mismatch",
        needles=("is not in the",),
        patterns=(r"'?(?P<name>\w+) is not in the (?P<registry>[\w:. ]+?) ?registry",),
        saw="{name} was never registered: the plugin's import failed or did not happen, or the code is of another branch than the config",
        fix=("PYTHONPATH=. python3 -c 'import projects.mmdet3d_plugin' # shows the hidden ImportError", PINNED),
        sample="KeyError: 'MapTR is not in the models registry'",
    ),
    Signature(
        name="already-registered",
        category="mm-stack-version-mismatch",
        rank=ROOT,
        needles=("is already registered in",),
        patterns=(r"'?(?P<name>\w+) is already registered in",),
        saw="{name} is registered twice: the installed package already brings it, or the module is imported under two names",
        fix=("install the version of mmdet that the project names, or delete the project's own copy", PINNED),
        sample="KeyError: 'SwinTransformer is already registered in models'",
    ),
    Signature(
        name="mm-data-parallel",
        category="mm-stack-version-mismatch",
        rank=ROOT,
        needles=(
            "_sync_params",
            "_use_replicated_tensor_module",
            "mmdistributeddataparallel' object has no attribute",
        ),
        patterns=(
            r"MMDistributedDataParallel.{0,20} has no attribute '?(?P<name2>\w+)",
            r"^\s*self\.(?P<name3>_sync_params|_use_replicated_tensor_module)\b",
            r"'MMDistributedDataParallel' object has no attribute '(?P<name>\w+)'",
        ),
        saw="mmcv reaches into a private part of PyTorch ({name}) that this PyTorch no longer has",
        fix=("mmcv-full 1.7.2 for torch 1.11 to 2.0; from 2.1 on no mmcv 1.x fits", PINNED),
        sample="AttributeError: 'MMDistributedDataParallel' object has no attribute '_sync_params'",
    ),
    Signature(
        name="mm-class-argument",
        category="mm-stack-version-mismatch",
        confidence="likely",
        rank=SYMPTOM,
        needles=("__init__() got an unexpected keyword argument",),
        patterns=(r"TypeError: (?:\w+\.)?__init__\(\) got an unexpected keyword argument '(?P<name>\w+)'",),
        also=r"registry\.py|build_from_cfg|mmcv/|mmengine/|builder\.py",
        saw="a config passes '{name}' to a class that does not know it: config and installed package are of different versions",
        fix=("use the config of the same branch as the code", PINNED),
        sample="  File \"mmcv/utils/registry.py\", line 167, in build_from_cfg\nTypeError: __init__() got an unexpected keyword argument 'bbox_roi_extractor'",
    ),
    Signature(
        name="mm-builder-argument",
        category="mm-stack-version-mismatch",
        confidence="likely",
        rank=SYMPTOM,
        needles=(
            "has no attribute 'data'",
            "'configdict' object has no attribute",
            "multiple values for argument 'registry'",
            "got an unexpected keyword argument",
            "missing 1 required positional argument",
            "required keyword-only argument",
        ),
        patterns=(
            r"TypeError: (?:\w+: )+__init__\(\) (?:got an unexpected keyword|missing \d+ required)",
            r"build_\w+_from_cfg\(\) got multiple values for argument 'registry'",
            r"'ConfigDict' object has no attribute '(?P<name3>\w+)'",
            r"TypeError: (?:class '(?P<name>\w+)' in \S+: |(?P<name2>[A-Z]\w+): )__init__\(\) (?:got an unexpected keyword|missing \d+ required)",
            r"__init__\(\) got an unexpected keyword argument '(?:train_cfg|test_cfg|pretrained|init_cfg|data_preprocessor|box_type_3d|feedforward_channels)'",
        ),
        saw="a config and the class {name} that it builds belong to different versions",
        fix=("use the config of the same branch as the code", PINNED),
        sample="TypeError: BEVFormer: __init__() got an unexpected keyword argument 'data_preprocessor'",
    ),
)
