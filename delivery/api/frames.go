package api

import (
	"context"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/answers"
	"tutti/metacodec/songs"
)

// Answers about music are there in a second form for clients to whom bytes cost more than CPU: as frames of metacodec,
// from which the same JSON comes back to the byte (package answers, docs/metadata-frames.md). A client asks for it as for any
// other representation (RFC 9110 §12.5.1), and names the models that it has:
//
//	Accept: application/vnd.tutti.frame; model=4f2a91c07d3e21b0
//
// A frame is never written with a model that was not named. Models are files with names of their own content, to be
// fetched once. Errors stay problem details.

// frameType is the media type of a frame.
const frameType = "application/vnd.tutti.frame"

// modelType is that of a model's file.
const modelType = "application/vnd.tutti.model"

// maxNamed is how many models are read of one request.
const maxNamed = 4

// modelledTo is how long an answer may be as JSON that is written with a model, which takes some 150 µs a track. Longer ones
// are laid out and go through Zstandard, so that no answer takes more than some milliseconds.
const modelledTo = 32 << 10

// Models has the metadata models that answers can be written with.
type Models interface {
	// Best returns the model to write with for a client that has these, nil where none of them is in memory.
	Best(has []metacodec.ModelID) *metacodec.Model
	// Want has a model fetched in its own time, so that a later answer is written with it.
	Want(id metacodec.ModelID)
	// List lists the models that there are.
	List(ctx context.Context) ([]metacodec.About, error)
	// File returns a model's file. KindNotFound: there is none of this ID.
	File(ctx context.Context, id metacodec.ModelID) ([]byte, error)
}

type modelEntry struct {
	ID   string `json:"id" doc:"The first 64 bits of its file's SHA-256."`
	Name string `json:"name"`
	Size int    `json:"size" doc:"Bytes of its file."`
	Used bool   `json:"used" doc:"The one that the operator has chosen: clients that have any do best with it."`
}

func (s *server) modelRoutes() []route {
	return []route{
		get("models", "listModels", "models", "Models that answers can be written with", member, (*call).models).
			saying("What is answered as " + frameType + " is some tenth of the JSON, and less where the client has one of these models and names it in Accept. The format is described with the server: docs/metadata-frames.md."),
		bytesOf("models/{id}", "getModel", "models", "A model's file", modelType, member, (*call).model).
			saying("A file of some megabytes, named by its content: it never changes."),
	}
}

func (c *call) models() (items[modelEntry], error) {
	if c.Models == nil {
		return items[modelEntry]{Items: []modelEntry{}}, nil
	}
	list, err := c.Models.List(c.r.Context())
	return items[modelEntry]{wireList(list, func(m *metacodec.About) modelEntry { return modelEntry{m.ID.String(), m.Name, m.Size, m.Used} })}, err
}

func (c *call) model() error {
	id, err := metacodec.ParseModelID(c.r.PathValue("id"))
	if err != nil || c.Models == nil {
		return tutti.Errorf(tutti.KindNotFound, "api.model", "there is no such model here")
	}
	file, err := c.Models.File(c.r.Context(), id)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", modelType)
	h.Set("Content-Length", strconv.Itoa(len(file)))
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("Etag", `"`+id.String()+`"`)
	_, _ = c.w.Write(file) // who has left needs no answer
	return nil
}

// framed offers a route's answer as a frame as well.
func (rt route) framed() route {
	rt.frame = true
	return rt
}

// wantsFrame reads Accept: whether a frame is wanted, and which models the client has. Who names the type gets it, unless
// JSON has a greater weight.
func wantsFrame(h http.Header) (has []metacodec.ModelID, ok bool) {
	accept := strings.Join(h["Accept"], ",")
	if !strings.Contains(accept, frameType) {
		return nil, false
	}
	var frame, plain float64
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue // what cannot be read is not asked for
		}
		weight := 1.0
		if q, given := params["q"]; given {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch t {
		case frameType:
			frame = max(frame, weight)
			if id, err := metacodec.ParseModelID(params["model"]); err == nil && weight > 0 && len(has) < maxNamed {
				has = append(has, id)
			}
		case "application/json":
			plain = max(plain, weight)
		}
	}
	return has, frame > 0 && frame >= plain
}

// framers are the codecs of frames: each is for one answer at a time.
type framers struct{ pool sync.Pool }

func newFramers(derive songs.Derive) *framers {
	return &framers{sync.Pool{New: func() any { return answers.New(derive) }}}
}

// frame writes an answer as a frame, with a model that the client has where that pays. What is beyond a frame's limits is
// answered as JSON, which every client of the API reads.
func (s *server) frame(ctx context.Context, rt route, body []byte, has []metacodec.ModelID) (frame []byte, contentType string) {
	var model *metacodec.Model
	if s.Models != nil && len(has) > 0 && len(body) <= modelledTo {
		if model = s.Models.Best(has); model == nil {
			for _, id := range has {
				s.Models.Want(id)
			}
		}
	}
	codec := s.framers.pool.Get().(*answers.Codec)
	defer s.framers.pool.Put(codec)
	frame, err := codec.Append(nil, model, body)
	if err != nil {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "an answer could not be made a frame, and went as JSON", slog.String("route", rt.id), slog.Any("error", err))
		return body, "application/json"
	}
	contentType = frameType
	if _, modelled := metacodec.FrameModel(frame); modelled {
		contentType += "; model=" + model.ID().String()
	}
	return frame, contentType
}
