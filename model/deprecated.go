package model

// Deprecated: use ScoreOf.
func Score(p []float32) float64 { return ScoreOf(p) }

// Deprecated: use LabelOf.
func Judge(p []float32, threshold float64) int { return LabelOf(p, threshold) }

// Deprecated: use ProbabilitiesOfLogits.
func Probabilities(logits []float32, outputs int, out []float32) {
	ProbabilitiesOfLogits(logits, outputs, out)
}
