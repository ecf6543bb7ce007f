// Package beam runs degas process-data on Apache Beam: the same reading, cleaning, splitting and writing, spread over
// the machines of a runner, to the same files. It is a module of its own, so that degas itself does not carry Beam.
//
//	files -> Read -> rows by partition -> Merge -> rows by shard -> Write -> shards, keys by partition -> Keys
//	           |                            |                         |                                    |
//	       Conclude: plan ----------------> + -> Outline -----------> +  --------------------------> Finish: dataset.json
//
// Each step is a call of a prepare.Job. Between steps Beam carries blocks of rows, tens of KiB each, because a runner's
// cost of an element is much larger than that of a row. What all workers must know, the plan and the outline, are side
// inputs. Every worker must see the input folder, and the output folder if it is not in object storage: a mounted
// bucket, NFS, or one machine.
package beam

import (
	"bytes"
	"context"
	"encoding/gob"
	"reflect"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/datasets/prepare"
)

// build adds the pipeline to s. It writes shards to out, and dataset.json when all is well.
func build(s beam.Scope, job *prepare.Job, files []formats.Location, skipped []datasets.Skipped, out shelf) error {
	elements := make([][]byte, len(files))
	for i, f := range files {
		var err error
		if elements[i], err = encode(f); err != nil {
			return err
		}
	}
	with := step{job, out}
	each := beam.Reshuffle(s, beam.CreateList(s, elements)) // one file a bundle
	rows, found := beam.ParDo2(s.Scope("Read"), &readFn{step: with}, each)
	plan, manifest := beam.ParDo2(s.Scope("Conclude"), &concludeFn{with, skipped},
		beam.GroupByKey(s, beam.AddFixedKey(s, found)))
	kept, sums := beam.ParDo2(s.Scope("Merge"), &mergeFn{with}, beam.GroupByKey(s, rows), beam.SideInput{Input: plan})
	outline, manifest := beam.ParDo2(s.Scope("Outline"), &outlineFn{with}, manifest,
		beam.SideInput{Input: beam.Combine(s, &sumFn{}, sums)})
	empty := beam.ParDo(s, &shardsFn{Shards: int64(job.NumShards())}, beam.Impulse(s)) // without rows, a file too
	keys, reports := beam.ParDo2(s.Scope("Write"), &writeFn{with},
		beam.GroupByKey(s, beam.Flatten(s, kept, empty)), beam.SideInput{Input: outline})
	counts := beam.ParDo(s.Scope("Keys"), &keysFn{with}, beam.GroupByKey(s, keys))
	beam.ParDo0(s.Scope("Finish"), &finishFn{with}, manifest, beam.SideInput{Input: reports},
		beam.SideInput{Input: counts})
	return nil
}

// A Location goes as gob because a file's name need not be UTF-8.
func encode(l formats.Location) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(l)
	return b.Bytes(), err
}

func decode(data []byte) (l formats.Location, err error) {
	return l, gob.NewDecoder(bytes.NewReader(data)).Decode(&l)
}

func init() {
	register.DoFn4x1[context.Context, []byte, func(int64, []byte), func([]byte), error](&readFn{})
	register.DoFn5x1[context.Context, int, func(*[]byte) bool, func([]byte), func([]byte), error](&concludeFn{})
	register.DoFn6x1[context.Context, int64, func(*[]byte) bool, func(*[]byte) bool, func(int64, []byte), func([]byte),
		error](&mergeFn{})
	register.DoFn5x1[context.Context, []byte, func(*[]byte) bool, func([]byte), func([]byte), error](&outlineFn{})
	register.DoFn2x0[[]byte, func(int64, []byte)](&shardsFn{})
	register.DoFn6x1[context.Context, int64, func(*[]byte) bool, func(*[]byte) bool, func(int64, []byte), func([]byte),
		error](&writeFn{})
	register.DoFn4x1[context.Context, int64, func(*[]byte) bool, func([]byte), error](&keysFn{})
	register.DoFn4x1[context.Context, []byte, func(*[]byte) bool, func(*[]byte) bool, error](&finishFn{})
	register.Combiner3[*prepare.Sums, []byte, []byte](&sumFn{})
	register.Emitter2[int64, []byte]()
	register.Emitter1[[]byte]()
	register.Iter1[[]byte]()
	beam.RegisterCoder(reflect.TypeFor[*prepare.Sums](), (*prepare.Sums).Encode, prepare.DecodeSums)
}
