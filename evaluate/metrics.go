package evaluate

import (
	"context"
	"encoding/json"
	"math"
)

// Metrics is metrics.json. Rates and areas are in [0, 1]; a number that cannot be computed, such as an area when one
// class is missing, is null. Areas, operating points, precision, recall, F1 and MCC tell benign from all the rest: a model
// of many labels is then asked for 1 - P(benign).
// Fields keep their order and meaning as long as Format stays the same; new ones may be added.
type Metrics struct {
	Format int `json:"format"`
	// Split, Dataset and Model are what was measured: the split's name, the data set's fingerprint, and the model's digest
	// (model.Model.Digest). Measure, which does not know them, leaves them out.
	Split     string   `json:"split,omitempty"`
	Dataset   string   `json:"dataset,omitempty"`
	Model     string   `json:"model_sha256,omitempty"`
	Names     int      `json:"names"`
	Benign    int      `json:"benign"`
	Malicious int      `json:"malicious"`
	Unknown   int      `json:"unknown_label"` // names left out: their label does not occur in training
	Labels    []string `json:"labels"`
	Threshold float64  `json:"threshold"`
	// ROCAUC is the chance that a malicious name scores higher than a benign one, ties counted half (Fawcett 2006,
	// doi:10.1016/j.patrec.2005.10.010), ROCAUC95 its bootstrap percentile interval (Efron 1979) over names drawn one by
	// one. Names of one family resemble each other, so the truth is less certain than the interval says.
	ROCAUC   *float64 `json:"roc_auc"`
	ROCAUC95 []Number `json:"roc_auc_95"`
	// PartialAUC is the area up to a false-positive rate of 1e-2, scaled so that chance is 0.5 (McClish 1989).
	PartialAUC *float64 `json:"partial_roc_auc_fpr_1e-2"`
	PRAUC      *float64 `json:"pr_auc"` // average precision at the sample's own base rate
	// PRAUCRare is the average precision if one name in a thousand were malicious, as in traffic rather than in lists.
	PRAUCRare *float64 `json:"pr_auc_base_rate_1e-3"`
	Accuracy  Number   `json:"accuracy"`
	Precision Number   `json:"precision"`
	Recall    Number   `json:"recall"`
	F1        Number   `json:"f1"`
	MCC       Number   `json:"mcc"` // Matthews correlation coefficient, [-1, 1]; 0 where a row or column is empty
	// ECE is the expected calibration error over 15 equal intervals of confidence.
	ECE Number `json:"ece"`
	// MacroF1 is the mean over the labels that occur in the truth or among the predictions, WeightedF1 the mean over
	// names, both as scikit-learn defines them.
	MacroF1    Number `json:"macro_f1"`
	WeightedF1 Number `json:"weighted_f1"`
	// Operating holds the true-positive rate at false-positive rates people deploy at.
	Operating []OperatingPoint `json:"operating_points"`
	PerLabel  []LabelMetrics   `json:"per_label"`
	// Classes tells each kind of malicious names from the benign ones.
	Classes []ClassDetection `json:"classes"`
	// Confusion is [truth, predicted] in the order of Labels.
	Confusion [][]int       `json:"confusion"`
	Families  []GroupRecall `json:"families"` // worst first
	Sources   []GroupRecall `json:"sources"`
	TLDs      []GroupRecall `json:"tlds"`    // the most frequent, worst first
	Lengths   []GroupRecall `json:"lengths"` // in bytes, shortest first
	// Baselines are plain classifiers beside the model; none when they were not asked for.
	Baselines []Baseline `json:"baselines,omitempty"`
	// Probes are names changed on purpose.
	Probes []Probe `json:"probes,omitempty"`
	// Generalisation is what protocols (leave-family-out, leave-source-out, kfold) found for this run and data set.
	Generalisation []Generalisation `json:"generalisation,omitempty"`
	Warnings       []string         `json:"warnings"`
}

// Number is a float64 whose JSON is null where it is no finite number.
type Number float64

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// OperatingPoint is what a threshold chosen for a false-positive rate gives on this sample. The threshold is read off the
// sample itself, so its rate on other names differs.
type OperatingPoint struct {
	FPR float64 `json:"fpr"` // wanted, at most
	TPR Number  `json:"tpr"`
	// TPR95 is the bootstrap's 95 % interval, the threshold read off anew each time; nulls where none was asked for.
	TPR95 [2]Number `json:"tpr_95"`
	// Threshold is the lowest score that keeps the rate, null when none does, and BenignAbove the benign names at or above
	// it. A name is called malicious at a score of Threshold or more, as model.Verdict does.
	Threshold   Number `json:"threshold"`
	BenignAbove int    `json:"benign_above"`
	// TooFew is set when fewer than ten benign names are expected above: the rate is then little more than a guess.
	TooFew bool `json:"too_few"`
}

// LabelMetrics are one label's one-against-all numbers.
type LabelMetrics struct {
	Label     string `json:"label"`
	Support   int    `json:"support"`
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
}

// ClassDetection is how well names of one class, dga or tunnel, are told from benign ones, with the bootstrap's 95 % intervals.
type ClassDetection struct {
	Class string `json:"class"`
	Names int    `json:"names"`
	Detection
	ROCAUC95 [2]Number `json:"roc_auc_95"`
	TPR295   [2]Number `json:"tpr_at_fpr_1e-2_95"`
	TPR395   [2]Number `json:"tpr_at_fpr_1e-3_95"`
}

// GroupRecall is how many malicious names of a family, or from a source, are found: at the model's threshold and at a
// false-positive rate of 1e-3. For benign names of a source it is the share called benign. The 95 % intervals are Wilson's
// (doi:10.1080/01621459.1927.10502953) for names drawn one by one, the threshold as it is.
type GroupRecall struct {
	Name        string    `json:"name"`
	Class       string    `json:"class"`
	Names       int       `json:"names"`
	Recall      Number    `json:"recall"`
	Recall95    [2]Number `json:"recall_95"`
	RecallFPR   Number    `json:"recall_at_fpr_1e-3"`
	RecallFPR95 [2]Number `json:"recall_at_fpr_1e-3_95"`
}

// rates are the false-positive rates reported.
var rates = []float64{1e-2, 1e-3, 1e-4}

// partialRate bounds the partial area, rareRate is the base rate of rare malicious names.
const partialRate, rareRate = 1e-2, 1e-3

const bootstrapRounds = 200

// Measure computes all metrics of s at threshold, the score from which a name is called malicious.
// seed draws the bootstrap: the same sample, threshold and seed give the same metrics. A sample without names, with
// columns of different length or with a probability outside [0, 1] is an error; one without benign or without malicious
// names gives nulls and a warning.
func Measure(ctx context.Context, s *Sample, threshold float64, seed uint64) (*Metrics, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	c := newCurve(s)
	m := &Metrics{Format: 1, Names: len(s.Names), Benign: c.negatives, Malicious: c.positives, Unknown: s.Unknown, Labels: s.Labels,
		Threshold: threshold, Warnings: []string{}}
	if c.positives > 0 && c.negatives > 0 {
		roc, partial, pr, rare := c.rocAUC(), c.partialAUC(partialRate), c.averagePrecision(c.baseRate()), c.averagePrecision(rareRate)
		m.ROCAUC, m.PartialAUC, m.PRAUC, m.PRAUCRare = &roc, &partial, &pr, &rare
	} else {
		m.Warnings = append(m.Warnings, "one class is missing from the sample: areas and rates are not defined")
	}
	m.Operating = c.atRates()
	interval, err := c.bootstrap(ctx, seed, m.Operating)
	if err != nil {
		return nil, err
	}
	if m.ROCAUC != nil {
		m.ROCAUC95 = interval[:]
	}
	if m.Classes, err = byClass(ctx, s, seed); err != nil {
		return nil, err
	}
	m.ECE = Number(ece(calibrationOf(s)))
	m.confusion(s, threshold)
	m.groups(s, threshold, float64(m.Operating[1].Threshold))
	return m, nil
}
