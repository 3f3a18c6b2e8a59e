package api

import "net/http"

// route is one entry of the API: how it is reached, who may, what it takes and gives, and what it does. The
// description in openapi.json is made from the same entry, so it says what the code does.
type route struct {
	method, path string // path is relative to Prefix, with {id}-like segments
	id           string // operationId, and the route's name in logs and metrics
	tag, summary string
	about        string // more, where the summary does not say it all
	access       access
	query        []param
	status       int    // of success
	body, reply  any    // zero values of the JSON types; nil for none
	media        string // of a reply that is not JSON
	frame        bool   // the reply is there as a frame, too
	run          func(*call) (any, error)
}

// read is a route without a body.
func read[R any](method, path, id, tag, summary string, need access, fn func(*call) (R, error), query ...param) route {
	var reply R
	return route{
		method: method, path: path, id: id, tag: tag, summary: summary, access: need, query: query, reply: reply,
		status: http.StatusOK,
		run:    func(c *call) (any, error) { return fn(c) },
	}
}

// get is a GET that answers with JSON.
func get[R any](path, id, tag, summary string, need access, fn func(*call) (R, error), query ...param) route {
	return read(http.MethodGet, path, id, tag, summary, need, fn, query...)
}

// act is a route that takes nothing and answers with nothing.
func act(method, path, id, tag, summary string, need access, fn func(*call) error) route {
	return route{
		method: method, path: path, id: id, tag: tag, summary: summary, access: need, status: http.StatusNoContent,
		run: func(c *call) (any, error) { return nil, fn(c) },
	}
}

// send is a route that takes a JSON body and answers with JSON.
func send[B, R any](method, path, id, tag, summary string, need access, fn func(*call, B) (R, error)) route {
	var (
		body  B
		reply R
	)
	rt := route{
		method: method, path: path, id: id, tag: tag, summary: summary, access: need, body: body, reply: reply,
		status: http.StatusOK,
		run: func(c *call) (any, error) {
			var b B
			if err := readBody(c.w, c.r, &b); err != nil {
				return nil, err
			}
			return fn(c, b)
		},
	}
	if method == http.MethodPost {
		rt.status = http.StatusCreated
	}
	return rt
}

// put is a route that takes a JSON body and answers with nothing.
func put[B any](method, path, id, tag, summary string, need access, fn func(*call, B) error) route {
	rt := send(method, path, id, tag, summary, need, func(c *call, b B) (any, error) { return nil, fn(c, b) })
	rt.status = http.StatusNoContent
	return rt
}

// bytesOf is a GET whose answer is written by somebody else.
func bytesOf(path, id, tag, summary, media string, need access, fn func(*call) error, query ...param) route {
	return route{
		method: http.MethodGet, path: path, id: id, tag: tag, summary: summary, access: need, query: query, media: media,
		status: http.StatusOK,
		run: func(c *call) (any, error) {
			err := fn(c)
			c.wrote = err == nil
			return nil, err
		},
	}
}

// saying adds what the summary leaves out.
func (rt route) saying(about string) route {
	rt.about = about
	return rt
}
