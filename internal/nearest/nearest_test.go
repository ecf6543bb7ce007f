package nearest

import "testing"

func TestOf(t *testing.T) {
	words := []string{"epochs", "batch_size", "learning_rate", "seed"}
	for given, want := range map[string]string{
		"epoch":        "epochs",
		"batchsize":    "batch_size",
		"sede":         "seed",
		"transformer":  "",
		"":             "",
		"learning_rat": "learning_rate",
	} {
		if got := Of(given, words); got != want {
			t.Errorf("Of(%q) = %q, want %q", given, got, want)
		}
	}
}
