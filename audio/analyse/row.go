package analyse

import (
	"encoding/binary"
	"math"

	"tutti"
	"tutti/audio"
)

// RowSize is how many bytes a Result takes: 9.4 MB for 100,000 tracks.
const RowSize = rowEmbedding + Dimensions + 2

// A row is the version, the key and two clarities as a byte each, four measures as 16 bits each, in hundredths, the sketch,
// the embedding, and the latter's length in halves; little end first.
const (
	rowVersion = iota
	rowKey
	rowKeyClarity
	rowTempoClarity
	rowLoudness
	rowRange     = rowLoudness + 2
	rowTruePeak  = rowRange + 2
	rowTempo     = rowTruePeak + 2
	rowSketch    = rowTempo + 2
	rowEmbedding = rowSketch + 4*sketchParts
	rowLength    = rowEmbedding + Dimensions
)

// Row writes the result down, to a hundredth of its units.
func (r *Result) Row() (b [RowSize]byte) {
	hundredths := func(v, least, most float64) uint16 {
		return uint16(int32(math.Round(min(max(v*100, least), most))))
	}
	share := func(v float64) byte { return byte(math.Round(min(max(v, 0), 1) * 255)) }
	b[rowVersion], b[rowKey] = Version, byte(int8(r.Key))
	b[rowKeyClarity], b[rowTempoClarity] = share(r.KeyClarity), share(r.TempoClarity)
	le := binary.LittleEndian
	le.PutUint16(b[rowLoudness:], hundredths(r.Loudness, math.MinInt16, math.MaxInt16))
	le.PutUint16(b[rowRange:], hundredths(r.Range, 0, math.MaxUint16))
	le.PutUint16(b[rowTruePeak:], hundredths(r.TruePeak, math.MinInt16, math.MaxInt16))
	le.PutUint16(b[rowTempo:], hundredths(r.Tempo, 0, math.MaxUint16))
	for i, v := range r.Sketch {
		le.PutUint32(b[rowSketch+4*i:], v)
	}
	for i, v := range r.Embedding {
		b[rowEmbedding+i] = byte(v)
	}
	le.PutUint16(b[rowLength:], uint16(math.Round(2*length(r.Embedding))))
	return b
}

// ParseRow reads what Row wrote. The error is KindInvalid for anything else, such as the row of another version.
func ParseRow(b []byte) (r Result, err error) {
	const op = "analyse.ParseRow"
	if len(b) != RowSize || b[rowVersion] != Version {
		return r, tutti.Errorf(tutti.KindInvalid, op, "these %d bytes are no analysis of version %d", len(b), Version)
	}
	signed := func(at int) float64 { return float64(int16(binary.LittleEndian.Uint16(b[at:]))) / 100 }
	unsigned := func(at int) float64 { return float64(binary.LittleEndian.Uint16(b[at:])) / 100 }
	r.Key = int(int8(b[rowKey]))
	if r.Key < NoKey || r.Key >= 24 {
		return r, tutti.Errorf(tutti.KindInvalid, op, "there is no key %d", r.Key)
	}
	r.KeyClarity, r.TempoClarity = float64(b[rowKeyClarity])/255, float64(b[rowTempoClarity])/255
	r.Loudness, r.Range, r.TruePeak, r.Tempo = signed(rowLoudness), unsigned(rowRange), signed(rowTruePeak), unsigned(rowTempo)
	for i := range r.Sketch {
		r.Sketch[i] = binary.LittleEndian.Uint32(b[rowSketch+4*i:])
	}
	for i := range r.Embedding {
		r.Embedding[i] = int8(b[rowEmbedding+i])
	}
	return r, nil
}

// RowEmbedding is the part of a row by which tracks are compared: Dimensions bytes, each with a sign.
func RowEmbedding(row []byte) []byte { return row[rowEmbedding : rowEmbedding+Dimensions] }

// RowLength is the length of the embedding as a vector, to a half.
func RowLength(row []byte) float64 { return float64(binary.LittleEndian.Uint16(row[rowLength:])) / 2 }

func length(e [Dimensions]int8) float64 {
	sum := 0
	for _, v := range e {
		sum += int(v) * int(v)
	}
	return math.Sqrt(float64(sum))
}

// RowLoudness is the loudness in a row, in LUFS, and the true peak, in dBTP.
func RowLoudness(row []byte) (loudness, truePeak float64) {
	return float64(int16(binary.LittleEndian.Uint16(row[rowLoudness:]))) / 100, float64(int16(binary.LittleEndian.Uint16(row[rowTruePeak:]))) / 100
}

// maxPrint is how many numbers a print of two minutes can have.
const maxPrint = printSeconds*printRate/printHop + 1

// MaxBytes is how long the bytes of a Full are at most.
const MaxBytes = RowSize + 4 + 4*maxPrint + audio.MaxPeaksBytes

// Bytes writes all down: the row, the number of the print's numbers and they as 32 bits each, little end first, and the
// outline as audio.Peaks.Bytes does.
func (f *Full) Bytes() []byte {
	row := f.Row()
	b := append(make([]byte, 0, MaxBytes), row[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Print)))
	for _, v := range f.Print {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, f.Peaks.Bytes()...)
}

// Parse reads what Bytes wrote. The error is KindInvalid for anything else.
func Parse(b []byte) (f Full, err error) {
	const op = "analyse.Parse"
	if len(b) < RowSize+4 {
		return f, tutti.Errorf(tutti.KindInvalid, op, "an analysis of %d bytes is cut short", len(b))
	}
	if f.Result, err = ParseRow(b[:RowSize]); err != nil {
		return f, err
	}
	n := binary.LittleEndian.Uint32(b[RowSize:])
	if b = b[RowSize+4:]; n > maxPrint || len(b) < 4*int(n) {
		return f, tutti.Errorf(tutti.KindInvalid, op, "a print of %d numbers in %d bytes", n, len(b))
	}
	f.Print = make([]uint32, n)
	for i := range f.Print {
		f.Print[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	f.Peaks, err = audio.ParsePeaks(b[4*n:])
	return f, err
}
