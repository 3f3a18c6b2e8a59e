// Package delivery is service A: the HTTP edge. It knows who asks, asks the catalogue for a plan, and moves the bytes
// from the track cache to the listener. The wires that listeners speak live below it: delivery/subsonic is
// OpenSubsonic, delivery/api is the native JSON that the page uses; both are given a Bytes and never touch audio
// themselves. delivery/accounts keeps users and guards the doors.
package delivery

import (
	"net/http"

	"tutti"
)

// Options are the listener's wishes about a response that are not about the audio itself.
type Options struct {
	Download       bool // Content-Disposition: attachment with a file name
	EstimateLength bool // send a Content-Length even where it is only a guess (Subsonic's estimateContentLength)
}

// Bytes answers requests for audio and pictures. A method that returns an error has written nothing, so that the wire
// can answer in its own form; once bytes are on their way, failures end the connection instead. A method that returns
// nil has taken the response over: within a Server the bytes go out after the handler has returned, so the handler
// writes nothing more.
type Bytes interface {
	// ServeTrack answers GET and HEAD with Range, ETag, If-Range and Last-Modified.
	ServeTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o Options) error
	// ServeAlbum answers GET and HEAD with a ZIP file of the tracks' originals, named after the album. Missing tracks are
	// left out; where all are, the error is KindNotFound. The viewer must be known to see them.
	ServeAlbum(w http.ResponseWriter, r *http.Request, v tutti.Viewer, album *tutti.Album, tracks []tutti.Track) error
	// ServeCover answers with the picture of id, at most pixels on its longest side (0: as it is).
	ServeCover(w http.ResponseWriter, r *http.Request, v tutti.Viewer, id tutti.ID, pixels int) error
}
