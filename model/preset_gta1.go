package model

func init() {
	presets.Register("gta1", preset{gta1,
		"the network gta-v1 of deep-lookup, a DNS resolver with a DGA detector: letter groups beside an LSTM"})
}

// gta1Codes is one more than the highest code of deep-lookup's gta-v1: Unicode code points up to 9999.
const gta1Codes = 10000

// gta1Encoder is the code-point tokenizer of deep-lookup's gta-v1, which keeps the first 256 characters as they are and
// pads on the right with 0. Normalised names are ASCII, so a byte is its code point. Any other byte becomes the highest
// code, as all code points above it did in the original.
func gta1Encoder() Encoder {
	enc := mlbridgeEncoder()
	enc.Unknown = gta1Codes - 1
	return enc
}

// asciiCharacters returns every ASCII character but NUL, in order.
func asciiCharacters() string {
	b := make([]byte, 127)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return string(b)
}

// gta1 is the network of deep-lookup's Resolver, model gta-v1 (Bubnov, create_rcnn): parallel convolutions without
// activation beside a bidirectional LSTM, joined by dense layers into a softmax over legit and threat. 1,785,858
// parameters.
func gta1() Spec {
	half := Layer{Kind: KindDropout, Rate: 0.5}
	spec := binarySpec("gta1", gta1Encoder(),
		Layer{Kind: KindEmbedding, Rows: gta1Codes + 1, Dim: 128},
		Layer{Kind: KindParallel, Branches: [][]Layer{
			{
				{Kind: KindParallel, Branches: letterGroups(6, 64, "")}, half,
				{Kind: KindDense, Units: 64, Activation: ReLU}, half,
			},
			{{Kind: KindLSTM, Units: 128, Bidirectional: true}, half, {Kind: KindDense, Units: 128}},
		}},
		half,
		Layer{Kind: KindDense, Units: 128, Activation: ReLU},
		half,
		Layer{Kind: KindDense, Units: 2, Activation: Softmax},
	)
	spec.InputName = "domain_xf_input"
	return spec
}
