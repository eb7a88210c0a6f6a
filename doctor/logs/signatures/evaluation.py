"""Messages of evaluations that refuse, and numbers that are wrong for a known reason."""

from doctor.logs.signature import ROOT, SYMPTOM, Signature

SIGNATURES = (
    Signature(
        name="predictions-of-another-split",
        category="eval-metric-mismatch",
        rank=ROOT,
        needles=(
            "samples in split",
            "length of results is not equal",
            "is not compatible with nuscenes version",
            "results do not correspond to current coco",
            "do not have the annotations",
            "requested split",
        ),
        patterns=(
            r"Samples in split doesn't match samples in predictions",
            r"length of results is not equal to the dataset len\w*(?:: (?P<have>\d+) != (?P<want>\d+))?",
            r"not compatible with NuScenes version",
            r"Results do not correspond to current coco",
            r"evaluate on the test set but you do not have the annotations",
        ),
        saw="the predictions cover another set of samples than the evaluation (mini val 81, mini train 323, all of mini 404, val 6019)",
        fix=(
            "the same version in the info file, the config's ann_file and --eval: rebuild the info files for the version that is on disk",
        ),
        sample="AssertionError: Samples in split doesn't match samples in predictions.",
    ),
    Signature(
        name="results-in-another-form",
        category="eval-metric-mismatch",
        needles=(
            "results must be a list",
            "only <= 500 boxes",
            "results should be a",
            "boxes per sample allowed",
            "unsupported metric",
            "metric bbox is not supported",
            "is not supported",
        ),
        patterns=(
            r"results must be a list",
            r"Only <= 500 boxes per sample allowed",
            r"boxes per sample allowed",
            r"KeyError: '?metric \w+ is not supported",
            r"metric \S+ is not supported",
        ),
        saw="the evaluation gets results of another form than it expects: the script belongs to another model or task",
        fix=("use the test script and data set class of the config's own project",),
        sample="AssertionError: results must be a list",
    ),
    Signature(
        name="evaluation-misses-a-key",
        category="eval-metric-mismatch",
        confidence="likely",
        rank=SYMPTOM,
        needles=("keyerror:",),
        patterns=(r"^\W*KeyError: '?(?P<key>\w+)",),
        also=r"(?:dataset\.evaluate\(|in evaluate\w*$|in format_results$|_evaluate_single$)",
        saw="the evaluation finds no '{key}' in the results: the test script returns them in another form than the data set expects",
        fix=("use the project's distributed test script (tools/dist_test.sh CONFIG CHECKPOINT 1), also with one GPU",),
        sample="    print(dataset.evaluate(outputs, **eval_kwargs))\nKeyError: 'SC_metric'",
    ),
    Signature(
        name="orientation-of-another-convention",
        category="eval-metric-mismatch",
        confidence="likely",
        rank=ROOT,
        needles=("maoe",),
        patterns=(r"mAOE\W{1,6}1\.[4-6]\d",),
        also=r"mAP\W{1,6}0\.(?:[2-9]|1[5-9])",
        saw="mAP is sound and the orientation error is about a quarter turn: the info files follow mmdet3d >= 1.0, the model 0.17",
        fix=("write the info files with mmdet3d 0.17.1 (or bevready's own reader), and evaluate again",),
        sample="mAP: 0.4161\nmATE: 0.6726\nmASE: 0.2742\nmAOE: 1.5612",
    ),
)
