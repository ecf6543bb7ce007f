// Package tensorboard writes the event files that TensorBoard reads: scalars and precision-recall curves. The format is
// TFRecord framing around tensorflow.Event messages (tensorflow/core/util/event.proto, tensorboard/plugins/pr_curve).
package tensorboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Writer appends to one event file. It is used by one goroutine at a time.
type Writer struct {
	file *os.File
	err  error // the first
}

// Create begins an event file in dir under the name that TensorBoard looks for. An existing file is never touched: a
// run that is resumed has several, which TensorBoard puts together by step.
func Create(dir string) (*Writer, error) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.degas.%d", time.Now().Unix(), i)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		w := &Writer{file: f}
		w.event(0, eventVersion, []byte("brain.Event:2"))
		return w, w.err
	}
}

// Field numbers of the messages: Event, Summary, Summary.Value, SummaryMetadata, PluginData, TensorProto,
// TensorShapeProto. The last line has values of fields.
const (
	eventTime, eventStep, eventVersion, eventSummary = 1, 2, 3, 5
	summaryValue                                     = 1
	valueTag, valueSimple                            = 1, 2
	valueTensor, valueMetadata                       = 8, 9
	metadataPlugin, metadataClass                    = 1, 4
	pluginName, pluginContent                        = 1, 2
	tensorType, tensorShape, tensorContent           = 1, 2, 4
	shapeDim, dimSize                                = 2, 1
	prThresholds                                     = 2
	typeFloat, classTensor                           = 1, 2
)

// Scalar writes one value of a tag.
func (w *Writer) Scalar(step int, tag string, value float64) {
	v := message(nil, valueTag, []byte(tag))
	v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
	v = protowire.AppendFixed32(v, math.Float32bits(float32(value)))
	w.event(step, eventSummary, message(nil, summaryValue, v))
}

// Thresholds is how many evenly spaced thresholds a precision-recall curve has.
const Thresholds = 127

// PRCurve writes the counts that TensorBoard draws precision and recall from: at each threshold, names at or above it.
// scores are in [0, 1].
func (w *Writer) PRCurve(step int, tag string, scores []float64, positive []bool) {
	plugin := message(nil, pluginName, []byte("pr_curves"))
	plugin = message(plugin, pluginContent, number(nil, prThresholds, Thresholds))
	meta := number(message(nil, metadataPlugin, plugin), metadataClass, classTensor)

	var shape []byte
	for _, n := range []uint64{6, Thresholds} {
		shape = message(shape, shapeDim, number(nil, dimSize, n))
	}
	tensor := message(number(nil, tensorType, typeFloat), tensorShape, shape)
	var content []byte
	for _, row := range counts(scores, positive) {
		for _, x := range row {
			content = binary.LittleEndian.AppendUint32(content, math.Float32bits(float32(x)))
		}
	}
	tensor = message(tensor, tensorContent, content)

	v := message(nil, valueTag, []byte(tag))
	v = message(v, valueTensor, tensor)
	w.event(step, eventSummary, message(nil, summaryValue, message(v, valueMetadata, meta)))
}

// counts are true positives, false positives, true negatives, false negatives, precision and recall by threshold.
func counts(scores []float64, positive []bool) (rows [6][Thresholds]float64) {
	var total [2]float64
	for i, s := range scores {
		bin := min(max(int(s*(Thresholds-1)), 0), Thresholds-1)
		row := 1
		if positive[i] {
			row = 0
		}
		rows[row][bin]++
		total[row]++
	}
	for k := Thresholds - 2; k >= 0; k-- {
		rows[0][k] += rows[0][k+1]
		rows[1][k] += rows[1][k+1]
	}
	for k := range Thresholds {
		tp, fp := rows[0][k], rows[1][k]
		rows[2][k], rows[3][k] = total[1]-fp, total[0]-tp
		rows[4][k], rows[5][k] = tp/max(tp+fp, 1e-7), tp/max(total[0], 1e-7)
	}
	return rows
}

// message appends a length-delimited field.
func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

// number appends a varint field.
func number(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

// event writes one record: an Event with a single length-delimited field.
func (w *Writer) event(step int, field protowire.Number, content []byte) {
	if w.err != nil {
		return
	}
	seconds := float64(time.Now().UnixNano()) / 1e9
	e := protowire.AppendFixed64(protowire.AppendTag(nil, eventTime, protowire.Fixed64Type), math.Float64bits(seconds))
	e = message(number(e, eventStep, uint64(step)), field, content)
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(e)))
	record = binary.LittleEndian.AppendUint32(record, masked(record))
	record = append(record, e...)
	record = binary.LittleEndian.AppendUint32(record, masked(e))
	_, w.err = w.file.Write(record)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum: a CRC-32C, turned and moved so that a checksum of checksums stays one.
func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// Close ends the file and returns the first error.
func (w *Writer) Close() error { return errors.Join(w.err, w.file.Close()) }

// Remove deletes the file, which is closed.
func (w *Writer) Remove() error { return os.Remove(w.file.Name()) }
