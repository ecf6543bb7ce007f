// Package deps is removed before landing: it keeps go.mod complete while rooms are being built.
package deps

import (
	_ "github.com/apache/arrow/go/v15/arrow/ipc"
	_ "github.com/bodgit/sevenzip"
	_ "github.com/chewxy/hm"
	_ "github.com/goccy/go-yaml"
	_ "github.com/gofrs/flock"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/parquet-go/parquet-go"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/sjwhitworth/golearn/evaluation"
	_ "github.com/sjwhitworth/golearn/trees"
	_ "github.com/urfave/cli/v2"
	_ "github.com/vbauerster/mpb/v8"
	_ "go4.org/unsafe/assume-no-moving-gc"
	_ "golang.org/x/net/idna"
	_ "golang.org/x/net/publicsuffix"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sys/cpu"
	_ "golang.org/x/term"
	_ "golang.org/x/text/encoding/charmap"
	_ "gonum.org/v1/gonum/blas/gonum"
	_ "gonum.org/v1/plot"
	_ "gonum.org/v1/plot/vg/vgimg"
	_ "gorgonia.org/gorgonia"
	_ "gorgonia.org/tensor"
)
