package evaluate

import (
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
)

// fewNames is where a test split is too small to say much.
const fewNames = 1000

// warnings are what a reader must know before trusting the numbers.
func (e evaluation) warnings() (out []string) {
	m, trained := e.Metrics, e.Run.Model
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !slices.ContainsFunc(e.Sample.Source, func(source string) bool { return source != model.SampleSource }) {
		add("All names come from the built-in sample, which is for trying degas out:" +
			" these numbers say nothing about real traffic.")
	} else if warning := model.SampleWarning(trained.Sources); warning != "" {
		add("%s", warning)
	}
	switch m.Split {
	case "train":
		add("These are the names that the model was trained on: the numbers say nothing about names it has not seen.")
	case "validation":
		add("Validation names chose the epoch, and the threshold and the temperature if there are:" +
			" the numbers are better than on names that chose nothing.")
	}
	if trained.Dataset == "" {
		add("It is not known what the model was trained on: names may have been seen in training.")
	} else if trained.Dataset != m.Dataset {
		add("The model was trained on data set %.12s, measured on %.12s: names may have been seen in training.",
			trained.Dataset, m.Dataset)
	}
	if n := e.Data.Leaks.Crossing; n > 0 {
		add("%d groups of names cross the splits of this data set.", n)
	}
	if m.Benign < fewNames || m.Malicious < fewNames {
		add("The split is small: %d benign and %d malicious names.", m.Benign, m.Malicious)
	}
	if m.Unknown > 0 {
		add("%d names were left out: their label does not occur in training.", m.Unknown)
	}
	if h := e.History; len(h) > 0 {
		if e.Run.BeganElsewhere(m.Dataset) {
			add("Training began with the weights of %s, which may have seen these names.", e.Run.Config.From)
		}
		if best := h.Best().Epoch; trained.Epoch != 0 && trained.Epoch != best {
			add("The model is of epoch %d. Training went on to epoch %d, whose best is %d, and was interrupted:"+
				" train-model --resume finishes it.", trained.Epoch, h[len(h)-1].Epoch, best)
		}
	}
	if text := m.Beaten(); text != "" {
		add("%s", text)
	}
	return out
}
