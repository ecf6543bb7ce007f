package metrics_test

import (
	"context"
	"fmt"
	"os"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate/metrics"
)

// Measure works on any scored names: here six of them, from a model of two labels.
func ExampleMeasure() {
	s := &metrics.Sample{
		Labels:        []string{"benign", "malicious"},
		Names:         []string{"example.com", "wikipedia.org", "kernel.org", "xjwqkd.biz", "qpzmvh.info", "bluetable.net"},
		Truth:         []int{0, 0, 0, 1, 1, 1},
		Probabilities: []float32{0.9, 0.1, 0.8, 0.2, 0.4, 0.6, 0.1, 0.9, 0.2, 0.8, 0.7, 0.3},
		Class: []datasets.Class{
			datasets.Benign, datasets.Benign, datasets.Benign, datasets.DGA, datasets.DGA, datasets.DGA,
		},
		Family: []string{"", "", "", "random", "random", "wordlist"},
		Source: []string{"a", "a", "a", "b", "b", "b"},
	}
	m, err := metrics.Measure(context.Background(), s, 0.5, 1)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("ROC-AUC %.3f, recall %.3f, precision %.3f\n", m.ROCAUC, m.Recall, m.Precision)
	for _, f := range m.Families {
		fmt.Printf("%s: %.0f %% of %d found\n", f.Name, 100*f.Recall, f.Names)
	}
	loose := m.Operating[metrics.AtFPR1e2]
	fmt.Printf("at 1 false alarm in 100: %.3f found, too few benign names: %v\n", loose.TPR, loose.TooFew)
	// Output:
	// ROC-AUC 0.889, recall 0.667, precision 0.667
	// wordlist: 0 % of 1 found
	// random: 100 % of 2 found
	// at 1 false alarm in 100: 0.667 found, too few benign names: true
}
