package export

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// The manifest says how names become codes, and the card shows the metrics; both without any when there are none.
func TestManifestAndCard(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spec := modeltest.Spec(rng)
	m := &model.Model{
		Spec:      spec,
		Weights:   modeltest.Weights(&spec, rng),
		Threshold: 0.25,
		Dataset:   "abc",
		Producer:  "degas test",
	}
	for _, metrics := range []map[string]float64{nil, {"roc_auc": 0.987654, "names": 12345}} {
		dir := t.TempDir()
		if err := describe(dir, m, metrics); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, ManifestFile))
		if err != nil {
			t.Fatal(err)
		}
		var got Manifest
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Encoder != spec.Encoder || got.Threshold != 0.25 || got.TrainingData != "abc" ||
			len(got.Metrics) != len(metrics) {
			t.Errorf("manifest %+v", got)
		}
		card, err := os.ReadFile(filepath.Join(dir, CardFile))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(card); !strings.HasPrefix(text, "---\n") ||
			strings.Contains(text, "| roc_auc | 0.987654 |") != (metrics != nil) ||
			strings.Contains(text, "It was not measured") != (metrics == nil) {
			t.Errorf("card:\n%s", text)
		}
	}
}
