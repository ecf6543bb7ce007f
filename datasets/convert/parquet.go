package convert

import (
	"context"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/datasets"
)

// parquetRow is a row as Parquet has it.
type parquetRow struct {
	Domain string `parquet:"domain,zstd"`
	Class  string `parquet:"class,dict,zstd"`
	Family string `parquet:"family,dict,zstd"`
	Source string `parquet:"source,dict,zstd"`
}

// groupRows is the number of rows in a row group: writing holds one in memory.
const groupRows = 1 << 19

// writeParquet writes with the library that also reads Parquet here.
func writeParquet(ctx context.Context, s *datasets.Split, out io.Writer) error {
	w := parquet.NewGenericWriter[parquetRow](out, parquet.CreatedBy("degas", "", ""),
		parquet.MaxRowsPerRowGroup(groupRows),
		parquet.KeyValueMetadata("degas.fingerprint", s.Fingerprint()))
	families, sources, classes := s.Families(), s.Sources(), datasets.ClassNames()
	var rows []parquetRow
	for b, err := range s.Batches(ctx) {
		if err != nil {
			return err
		}
		rows = rows[:0]
		for i, name := range b.Names {
			rows = append(rows, parquetRow{name, classes[b.Class[i]], families[b.Family[i]], sources[b.Source[i]]})
		}
		if _, err := w.Write(rows); err != nil {
			return err
		}
	}
	return w.Close()
}
