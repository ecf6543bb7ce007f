package model

func init() { presets.Register("hybrid", hybrid) }

// hybrid runs the convolutions of cnn and the LSTM of lstm side by side and lets a dense layer weigh both, as Bilbo does
// (Highnam et al. 2021, arXiv:2003.12805): convolutions know letter groups wherever they stand, the LSTM what follows what.
func hybrid() Spec {
	enc := nameEncoder()
	return Spec{Version: SpecVersion, Name: "hybrid", Encoder: enc, Labels: BinaryLabels, Layers: []Layer{
		{Kind: KindEmbedding, Rows: enc.Codes(), Dim: 128},
		{Kind: KindParallel, Branches: append(letterGroups(192), []Layer{{Kind: KindLSTM, Units: 128}})},
		{Kind: KindDropout, Rate: 0.2},
		{Kind: KindDense, Units: 256, Activation: ReLU},
		{Kind: KindDropout, Rate: 0.5},
		{Kind: KindDense, Units: 1, Activation: Sigmoid},
	}}
}
