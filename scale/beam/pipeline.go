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
	"encoding/gob"
	"reflect"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

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
	// Without the generated code of package register, which takes a minute to compile. It saves time for each element, and
	// here an element is thousands of rows.
	for _, fn := range []any{&readFn{}, &concludeFn{}, &mergeFn{}, &outlineFn{}, &shardsFn{}, &writeFn{}, &keysFn{},
		&finishFn{}, &sumFn{}} {
		beam.RegisterType(reflect.TypeOf(fn).Elem())
	}
	beam.RegisterCoder(reflect.TypeFor[*prepare.Sums](), (*prepare.Sums).Encode, prepare.DecodeSums)
}
