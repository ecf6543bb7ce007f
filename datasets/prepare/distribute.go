package prepare

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/formats"
)

// Job is what Run does to a folder, as plain data: each worker of a runner gets it as JSON, and one of its parts to
// work on. What goes from one step to the next is bytes. The steps give the files that Run gives with Options.Shards.
//
//	Reader    a file                            -> blocks of rows by partition, what was found
//	Conclude  what was found in all files       -> the plan, the manifest
//	Merge     the blocks of a partition         -> blocks of rows that are kept by shard, counts
//	Sums      counts of several partitions      -> their sum
//	Outline   the manifest, the sum of all      -> how to write, more of the manifest
//	Write     the blocks of a shard             -> a file, its keys by partition, a report
//	Keys      the keys of a partition           -> how many are in two splits
//	Finish    all reports and counts of keys    -> the whole manifest, which is dataset.json
type Job struct {
	Plan Plan
	// Manifest has what is known before a file is read: version, options, the name of the input.
	Manifest datasets.Manifest
	Strict   bool
	// Memory is about what a step of one worker may use, in bytes; Workers is its number of goroutines.
	Memory      int64
	Workers     int
	Compression string
	// Files is the number of files.
	Files int
	// Partitions is the number of groups that rows are merged in. It does not change the output.
	Partitions int
	Shards     int
}

// partitionBytes is what a partition has of the input when there are so many partitions that more would not pay.
const partitionBytes = 64 << 20

// NewJob lists the files in the folder in and refuses what Run refuses before it reads. o.Shards must be at least 1; 0
// partitions means as many as the size of the input needs. skipped are the files that are not read.
func NewJob(ctx context.Context, in, temp string, o Options, partitions int) (
	j *Job, files []formats.Location, skipped []datasets.Skipped, err error,
) {
	o, plan, err := o.resolve()
	if err != nil {
		return nil, nil, nil, err
	}
	if o.Shards == 0 || partitions < 0 {
		return nil, nil, nil, fmt.Errorf("%d shards and %d partitions: must be at least 1", o.Shards, partitions)
	}
	inputs, skipped, done, err := discover(ctx, in, temp, o)
	if err != nil {
		return nil, nil, nil, err
	}
	defer done()
	if partitions == 0 {
		size := unpackedBytes(inputs)
		partitions = max(partitionsOf(size), int(size/partitionBytes))
	}
	j = &Job{Plan: *plan, Manifest: *newManifest(o), Strict: o.Strict, Memory: o.Memory, Workers: o.Workers,
		Compression: o.Compression, Partitions: partitions, Shards: o.Shards}
	j.Manifest.Input = inputName(in)
	files = formats.Locations(in, inputs)
	j.Files = len(files)
	return j, files, skipped, nil
}

// encode is v as bytes. It keeps strings that are no UTF-8, and loses empty lists; JSON does the opposite.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func decode(data []byte, v any) error { return gob.NewDecoder(bytes.NewReader(data)).Decode(v) }

// Reader reads files for one worker. It belongs to one goroutine.
type Reader struct {
	job               *Job
	families, sources *interner
	writers           []*spillWriter
	mu                sync.Mutex // makes emit one call at a time
	emit              func(part int, block []byte)
}

// Reader makes one.
func (j *Job) Reader() *Reader {
	r := &Reader{job: j, families: newInterner("families"), sources: newInterner("sources")}
	for range j.Workers {
		to := newBlockEncoder(r.families, r.sources, func(part int, block []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.emit(part, block)
		})
		r.writers = append(r.writers, newSpillWriter(to, j.Partitions, spillBuffer(j.Memory, j.Workers, j.Partitions)))
	}
	return r
}

// found is what a Reader found in one file.
type found struct {
	File string
	Read readResult
}

// Read reads the inputs of a file. It calls emit with blocks of rows, one call at a time, and returns what Conclude
// wants to know. The last rows come with Flush. tempDir is for temporary files.
func (r *Reader) Read(ctx context.Context, from formats.Location, tempDir string, emit func(part int, block []byte)) (
	[]byte, error,
) {
	r.emit = emit
	inputs, err := from.Open(ctx, tempDir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", from.File, err)
	}
	defer formats.Close(inputs)
	pass := &readPass{families: r.families, sources: r.sources, parts: r.job.Partitions, plan: &r.job.Plan,
		maxBad: r.job.Manifest.Options.MaxBad, tempDir: tempDir}
	for _, in := range inputs {
		pass.inputs = append(pass.inputs, newInputRead(in, pass))
	}
	if err := pass.run(ctx, r.writers); err != nil {
		return nil, err
	}
	return encode(found{from.File, pass.result()})
}

// Flush calls emit with the rows that were not yet enough for a block.
func (r *Reader) Flush(emit func(part int, block []byte)) error {
	r.emit = emit
	for _, w := range r.writers {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// Conclude takes what the Readers returned for all files, in any order. It returns the plan for Merge, and the manifest
// so far for Outline.
func (j *Job) Conclude(skipped []datasets.Skipped, reads [][]byte) (plan, manifest []byte, err error) {
	all := make([]found, len(reads))
	for i, data := range reads {
		if err := decode(data, &all[i]); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.File, b.File) })
	if len(all) != j.Files {
		return nil, nil, lost("files", j.Files, len(all))
	}
	var sum readResult
	for i := range all {
		sum.add(&all[i].Read)
	}
	p, m := j.Plan, j.Manifest
	if err := sum.conclude(&m, &p, skipped, j.Strict); err != nil {
		return nil, nil, err
	}
	if plan, err = json.Marshal(p); err == nil {
		manifest, err = json.Marshal(m)
	}
	return plan, manifest, err
}

// lost is the error of a runner that did not carry all that it was given. The counts of rows find the rest.
func lost[N int | int64](what string, want, got N) error {
	return fmt.Errorf("the runner lost something on the way: %d %s of %d came back. Try: again", got, what, want)
}

// add counts in what was found in other inputs, which come behind those of r.
func (r *readResult) add(o *readResult) {
	r.Inputs = append(r.Inputs, o.Inputs...)
	addTo(&r.Families, o.Families)
	addTo(&r.Sources, o.Sources)
	addTo(&r.Days, o.Days)
}

// addTo adds counts to a sum, which may be nil.
func addTo[K comparable](sum *map[K]int64, more map[K]int64) {
	if *sum == nil {
		*sum = map[K]int64{}
	}
	for k, n := range more {
		(*sum)[k] += n
	}
}
