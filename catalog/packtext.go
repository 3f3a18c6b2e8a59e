package catalog

import (
	"tutti"
	"tutti/metacodec"
)

// textFields says which statistics predict the texts of a column.
var textFields = [columns]metacodec.Field{
	colTitle: metacodec.Title, colArtist: metacodec.Artist, colAlbumTitle: metacodec.Album, colSort: metacodec.Sort,
	colName: metacodec.Path, colPath: metacodec.Path, colGenre: metacodec.Genre, colText: metacodec.Other,
}

// textWriter writes the texts of a packed value through a model.
type textWriter struct{ enc *metacodec.Encoder }

func (w textWriter) begin()                { w.enc.Begin(0) }
func (w textWriter) end()                  { w.enc.End() }
func (w textWriter) put(col int, s []byte) { w.enc.TextBytes(textFields[col], s) }
func (w textWriter) get(int) ([]byte, error) {
	return nil, tutti.Errorf(tutti.KindInternal, "catalog: pack", "a text was read while writing")
}

// textReader reads them. What it returns is good until the decoder is closed.
type textReader struct{ dec *metacodec.Decoder }

func (r textReader) begin()          { r.dec.Next() }
func (r textReader) end()            {}
func (r textReader) put(int, []byte) {}
func (r textReader) get(col int) ([]byte, error) {
	s := r.dec.Text(textFields[col])
	return s, r.dec.Err()
}
