package model

func init() {
	presets.Register("cnn-small", preset{cnnSmall,
		"letter groups of 2 to 6 characters and fewer filters: the smaller, faster cnn"})
}

// cnnSmall is a cnn made small enough to stand in a resolver's way: one length of letter groups more, fewer filters of
// each, half of the dense layer.
func cnnSmall() Spec {
	return binarySpec("cnn-small", nameEncoder(),
		namesEmbedding(),
		Layer{Kind: KindParallel, Branches: letterGroups(6, 192, ReLU)},
		Layer{Kind: KindDropout, Rate: 0.1},
		Layer{Kind: KindDense, Units: 128, Activation: ReLU},
		Layer{Kind: KindDropout, Rate: 0.2},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}
