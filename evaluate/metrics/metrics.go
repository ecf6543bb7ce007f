// Package metrics computes the numbers of an evaluation. It draws nothing, prints nothing and knows no run directory.
//
// Start at Sample: labelled names with the probabilities that a model gives them. ScoreSplit makes one of a split, and
// Measure turns it into Metrics, the content of metrics.json. The parts, a file each:
//
//   - curve.go: ROC-AUC (Curve.ROCAUC), precision and recall, operating points;
//   - bootstrap.go, groups.go: 95 % intervals, recall of families, sources, top-level domains and lengths;
//   - confusion.go: accuracy, F1, MCC and the numbers of each label;
//   - calibration.go, threshold.go: how true scores are, the temperature and the threshold that a model is given;
//   - compare.go: several runs on the same names; baseline.go: plain classifiers beside a model;
//   - probes.go: names changed on purpose; generalisation.go: families and sources that training has not seen;
//   - gate.go: conditions that a model must meet.
package metrics

import (
	"context"
	"encoding/json"
	"math"
)

// Metrics is metrics.json. Rates and areas are in [0, 1]; a number that cannot be computed, such as an area when one
// class is missing, is null. Areas, operating points, precision, recall, F1 and MCC tell benign from all the rest: a
// model of many labels is then asked for 1 - P(benign).
// Fields keep their order and meaning as long as Format stays the same; new ones may be added.
type Metrics struct {
	Format int `json:"format"`
	// Split, Dataset and Model are what was measured: the split's name, the data set's fingerprint, and the model's
	// digest (model.Model.Digest). Measure, which does not know them, leaves them out.
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
	// doi:10.1016/j.patrec.2005.10.010), ROCAUC95 its bootstrap percentile interval (Efron 1979) over names drawn one
	// by one. Names of one family resemble each other, so the truth is less certain than the interval says.
	ROCAUC   Number   `json:"roc_auc"`
	ROCAUC95 []Number `json:"roc_auc_95"`
	// PartialAUC is the area up to a false-positive rate of 1e-2, scaled so that chance is 0.5 (McClish 1989).
	PartialAUC Number `json:"partial_roc_auc_fpr_1e-2"`
	PRAUC      Number `json:"pr_auc"` // average precision at the sample's own base rate
	// PRAUCRare is the average precision if one name in a thousand were malicious, as in traffic rather than in lists.
	PRAUCRare Number `json:"pr_auc_base_rate_1e-3"`
	Accuracy  Number `json:"accuracy"`
	Precision Number `json:"precision"`
	Recall    Number `json:"recall"`
	F1        Number `json:"f1"`
	MCC       Number `json:"mcc"` // Matthews correlation coefficient, [-1, 1]; 0 where a row or column is empty
	// ECE is the expected calibration error over 15 equal intervals of confidence.
	ECE Number `json:"ece"`
	// MacroF1 is the mean over the labels that occur in the truth or among the predictions, WeightedF1 the mean over
	// names, both as scikit-learn defines them.
	MacroF1    Number `json:"macro_f1"`
	WeightedF1 Number `json:"weighted_f1"`
	// Operating holds the true-positive rates at the false-positive rates that people deploy at: 1e-2, 1e-3, 1e-4.
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

// Indices of the false-positive rates 1e-2 and 1e-3 in Metrics.Operating.
const AtFPR1e2, AtFPR1e3 = 0, 1

// reportedRates are the false-positive rates of Metrics.Operating, falling.
var reportedRates = []float64{1e-2, 1e-3, 1e-4}

// partialRate bounds the partial area, rareRate is the base rate of rare malicious names.
const partialRate, rareRate = 1e-2, 1e-3

// Measure computes all metrics of s at threshold, the score from which a name is called malicious. seed draws the
// bootstrap; equal arguments give equal metrics. A sample without names, with columns of different length or with a
// probability outside [0, 1] is an error; one of benign or of malicious names alone gives nulls and a warning.
func Measure(ctx context.Context, s *Sample, threshold float64, seed uint64) (*Metrics, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	c := NewCurve(s)
	m := &Metrics{
		Format: 1, Names: len(s.Names), Benign: c.Negatives, Malicious: c.Positives, Unknown: s.Unknown,
		Labels: s.Labels, Threshold: threshold, Warnings: []string{},
		ROCAUC: c.ROCAUC(), PartialAUC: c.partialAUC(partialRate),
		PRAUC: c.averagePrecision(c.BaseRate()), PRAUCRare: c.averagePrecision(rareRate),
		Operating: c.operatingPoints(), ECE: expectedError(CalibrationBins(s)),
	}
	interval, err := c.bootstrap(ctx, seed, m.Operating)
	if err != nil {
		return nil, err
	}
	if c.oneKind() {
		m.Warnings = append(m.Warnings, "one class is missing from the sample: areas and rates are not defined")
	} else {
		m.ROCAUC95 = interval[:]
	}
	if m.Classes, err = detectClasses(ctx, s, seed); err != nil {
		return nil, err
	}
	m.countConfusion(s)
	m.countGroups(s)
	return m, nil
}

// Number is a float64 whose JSON is null where it is no finite number.
type Number float64

// none stands for a number that could not be computed, noInterval for its interval.
var (
	none       = Number(math.NaN())
	noInterval = [2]Number{none, none}
)

// Missing reports whether n is no finite number: what it stands for could not be computed.
func (n Number) Missing() bool { return math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) }

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = none
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if n.Missing() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
