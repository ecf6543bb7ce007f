package model

func init() { presets.Register("lstm", lstm) }

// lstm is the network of Woodbridge et al., "Predicting Domain Generation Algorithms with Long Short-Term Memory
// Networks" (2016, arXiv:1611.00791).
func lstm() Spec {
	enc := nameEncoder()
	return Spec{Version: SpecVersion, Name: "lstm", Encoder: enc, Labels: BinaryLabels, Layers: []Layer{
		{Kind: KindEmbedding, Rows: enc.Codes(), Dim: 128},
		{Kind: KindLSTM, Units: 128},
		{Kind: KindDropout, Rate: 0.5},
		{Kind: KindDense, Units: 1, Activation: Sigmoid},
	}}
}
