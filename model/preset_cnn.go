package model

func init() { presets.Register("cnn", cnn) }

// cnn is a character network with parallel convolutions of 2 to 5 characters, 256 filters each, and a maximum over
// time: the shape of Saxe and Berlin's eXpose (arXiv:1702.08568).
func cnn() Spec {
	enc := nameEncoder()
	return Spec{Version: SpecVersion, Name: "cnn", Encoder: enc, Labels: BinaryLabels, Layers: []Layer{
		{Kind: KindEmbedding, Rows: enc.Codes(), Dim: 128},
		{Kind: KindParallel, Branches: letterGroups(256)},
		{Kind: KindDense, Units: 256, Activation: ReLU},
		{Kind: KindDropout, Rate: 0.5},
		{Kind: KindDense, Units: 1, Activation: Sigmoid},
	}}
}

// letterGroups are parallel convolutions of 2 to 5 characters, each with its maximum over time.
func letterGroups(filters int) (branches [][]Layer) {
	for kernel := 2; kernel <= 5; kernel++ {
		branches = append(branches, []Layer{
			{Kind: KindConv1D, Filters: filters, Kernel: kernel, Padding: Valid, Activation: ReLU},
			{Kind: KindGlobalMaxPool},
		})
	}
	return branches
}
