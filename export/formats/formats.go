// Package formats links every export format in. A new format is one import here.
package formats

import (
	_ "github.com/degas-dns/degas/export/hdf5"
	_ "github.com/degas-dns/degas/export/keras3"
	_ "github.com/degas-dns/degas/export/onnx"
	_ "github.com/degas-dns/degas/export/savedmodel"
	_ "github.com/degas-dns/degas/export/tfjs"
)
