package carbon

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tutti"
)

const (
	maxCSVBytes = 64 << 20 // of a file; ten years of five minutes are 40 MB
	maxCSVLines = 2_000_000
)

// CSV is a file of an operator's own, with a line of names and then time,g_per_kwh: what a supplier or a grid publishes, or
// what somebody measured. Times are as in parseFeedTime, UTC where they name no zone. Lines in the future are a forecast.
type CSV struct{ Path string }

// Source implements Feed. Of the path only the file's name is told.
func (f CSV) Source() Source { return Source{Short: "csv", Name: "the file " + filepath.Base(f.Path)} }

// Fetch implements Feed.
func (f CSV) Fetch(ctx context.Context, now time.Time) (_ Series, err error) {
	const op = "carbon.CSV"
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "the file with the grid's intensity cannot be read", Err: err}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxCSVBytes {
		return nil, tutti.Errorf(tutti.KindUnavailable, op, "the file with the grid's intensity is none, or larger than %d bytes", maxCSVBytes)
	}
	return parseCSV(ctx, file, now.Add(-past), now.Add(horizon+longestPoint), now)
}

// parseCSV reads the lines whose time lies between from and to; what is after now is a forecast.
func parseCSV(ctx context.Context, r io.Reader, from, to, now time.Time) (Series, error) {
	const op = "carbon.CSV"
	rows := csv.NewReader(bufio.NewReaderSize(io.LimitReader(r, maxCSVBytes), 64<<10))
	rows.ReuseRecord, rows.FieldsPerRecord, rows.TrimLeadingSpace = true, 2, true
	var points []Point
	for n := 1; n <= maxCSVLines; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return newSeries(points)
		}
		if err != nil {
			return nil, &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "the file with the grid's intensity has lines that are not time,g_per_kwh", Err: err}
		}
		if n%10_000 == 0 && ctx.Err() != nil {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, ctx.Err())
		}
		at, timeErr := parseFeedTime(strings.TrimPrefix(row[0], "\ufeff"))
		grams, gramsErr := strconv.ParseFloat(strings.TrimSpace(row[1]), 64)
		if n == 1 && timeErr != nil && gramsErr != nil {
			continue // the names of the columns
		}
		if timeErr != nil || gramsErr != nil {
			return nil, tutti.Errorf(tutti.KindUnavailable, op, "line %d of the file with the grid's intensity is not time,g_per_kwh", n)
		}
		if !at.Before(from) && at.Before(to) {
			points = append(points, Point{From: at, Grams: grams, Forecast: at.After(now)})
		}
	}
	return nil, tutti.Errorf(tutti.KindUnavailable, op, "the file with the grid's intensity has more than %d lines", maxCSVLines)
}
