package model

func init() {
	presets.Register("cnn", preset{cnn,
		"letter groups of 2 to 5 characters, 256 filters each, like eXpose"})
}

// cnn has parallel convolutions of 2 to 5 characters, 256 filters each, and a maximum over time, like Saxe and Berlin's
// eXpose (arXiv:1702.08568).
func cnn() Spec {
	return binarySpec("cnn", nameEncoder(),
		namesEmbedding(),
		Layer{Kind: KindParallel, Branches: letterGroups(5, 256, ReLU)},
		Layer{Kind: KindDense, Units: 256, Activation: ReLU},
		Layer{Kind: KindDropout, Rate: 0.5},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}

// letterGroups are parallel convolutions of 2 to longest characters, each with its maximum over time.
func letterGroups(longest, filters int, activation string) (branches [][]Layer) {
	for kernel := 2; kernel <= longest; kernel++ {
		branches = append(branches, []Layer{
			{Kind: KindConv1D, Filters: filters, Kernel: kernel, Padding: Valid, Activation: activation},
			{Kind: KindGlobalMaxPool},
		})
	}
	return branches
}
