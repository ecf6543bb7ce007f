package model

func init() {
	presets.Register("hybrid", preset{hybrid,
		"letter groups beside an LSTM: the most accurate here, and what auto stands for"})
	presets.Register("hybrid-small", preset{hybridSmall,
		"hybrid with fewer filters and units: quick enough for a resolver"})
}

// hybrid runs the convolutions of cnn beside the LSTM of lstm, and a dense layer weighs both, as in Bilbo (Highnam et
// al. 2021, arXiv:2003.12805). Convolutions find letter groups anywhere in a name; the LSTM knows their order.
func hybrid() Spec {
	return groupsAndLSTM("hybrid", 192, 128, 256, 0.2, 0.5)
}

// hybridSmall is a hybrid that is small enough to stand in a resolver's way. The LSTM takes most of hybrid's time, and
// a third of its units is enough for a model that learns from a large one.
func hybridSmall() Spec {
	return groupsAndLSTM("hybrid-small", 160, 48, 128, 0.1, 0.2)
}

// groupsAndLSTM is a hybrid with so many filters of each letter group, units of the LSTM and units of the dense layer,
// and what is dropped before and behind that layer.
func groupsAndLSTM(name string, filters, units, dense int, before, behind float64) Spec {
	return binarySpec(name, nameEncoder(),
		namesEmbedding(),
		Layer{Kind: KindParallel, Branches: append(letterGroups(5, filters, ReLU), []Layer{{Kind: KindLSTM, Units: units}})},
		Layer{Kind: KindDropout, Rate: before},
		Layer{Kind: KindDense, Units: dense, Activation: ReLU},
		Layer{Kind: KindDropout, Rate: behind},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}
