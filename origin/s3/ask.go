package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tutti"
	"tutti/clock"
)

// How often and when a request is made again. The waits are "full jitter" (Marc Brooker, "Exponential Backoff And
// Jitter", AWS Architecture Blog, 2015): random between nothing and a bound that doubles.
const (
	maxTries  = 3
	firstWait = 100 * time.Millisecond
	maxWait   = 2 * time.Second
)

// The budget of retries, in fifths of one: each success earns one fifth, a retry costs five, and twenty are there to
// begin with. The ratio is the one of the AWS SDKs' standard mode turned towards sparing the store.
const (
	budgetMax   = 100
	retryCost   = 5
	successGain = 1
)

type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < retryCost {
		return false
	}
	b.left -= retryCost
	return true
}

func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+successGain, budgetMax)
}

// retryables are the SDK's: no connection, a connection that broke, 500, 502, 503, 504, time-outs and throttling.
var retryables = retry.IsErrorRetryables(retry.DefaultRetryables)

// passes reports whether an error is one that may be gone at the next try.
func passes(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	return retryables.IsErrorRetryable(err) == aws.TrueTernary ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errSilent) || errors.Is(err, errBroken)
}

// wait waits before try number n (from 2), if the budget has one; else it returns false.
func (o *Origin) wait(ctx context.Context, n int) bool {
	if n > maxTries || !o.budget.take() {
		return false
	}
	o.meter.retries.Inc()
	most := min(firstWait<<(n-2), maxWait)
	return clock.Sleep(ctx, o.clock, rand.N(most)) == nil
}

// ask makes a request whose answer is small, with retries. The error is classified.
func ask[T any](ctx context.Context, o *Origin, l *library, op, p, operation string, request func(context.Context) (T, error)) (T, error) {
	for n := 2; ; n++ {
		try, cancel := context.WithTimeout(ctx, o.reply)
		began := o.clock.Now()
		v, err := request(try)
		cancel()
		o.meter.request(operation, o.clock.Now().Sub(began), err)
		if err == nil {
			o.budget.earn()
			return v, nil
		}
		if !passes(ctx, err) || !o.wait(ctx, n) {
			return v, classify(op, l, p, err)
		}
	}
}

// status is the HTTP status of an error, 0 where there was no answer.
func status(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

// code is the store's own word for an error, "" where there is none. An answer to HEAD has no body, and so no code but
// the one that the SDK makes of its status.
func code(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

// classify gives an error of the store its kind. The path is the listeners' own, so a message may name it; the rest is for
// the log.
func classify(op string, l *library, p string, err error) error {
	fail := func(kind tutti.Kind, message string) error {
		return &tutti.Error{Kind: kind, Op: op, Message: message, Err: err}
	}
	var ours *tutti.Error
	if errors.As(err, &ours) {
		return err
	}
	switch code(err) {
	case "NoSuchBucket", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fail(tutti.KindUnavailable, "the library \""+l.Name+"\" is away: there is no such bucket, or it is in another region than configured")
	case "NoSuchKey", "NotFound", "NoSuchVersion", "KeyTooLongError":
		return fail(tutti.KindNotFound, "there is no file \""+p+"\"")
	case "PreconditionFailed":
		return fail(tutti.KindConflict, "the file \""+p+"\" has changed")
	}
	switch s := status(err); {
	case s == http.StatusMovedPermanently:
		return fail(tutti.KindUnavailable, "the library \""+l.Name+"\" is away: its bucket is in another region than configured")
	case s == http.StatusNotFound:
		return fail(tutti.KindNotFound, "there is no file \""+p+"\"")
	case s == http.StatusPreconditionFailed:
		return fail(tutti.KindConflict, "the file \""+p+"\" has changed")
	case s == http.StatusUnauthorized, s == http.StatusForbidden, code(err) == "ExpiredToken", code(err) == "InvalidToken":
		return fail(tutti.KindUnavailable, "the object store refuses the server's credentials for the library \""+l.Name+
			"\"; check them, and that they allow s3:ListBucket and s3:GetObject: without the first, what is not there is refused as well")
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable, strings.Contains(code(err), "Throttl"):
		return fail(tutti.KindUnavailable, "the object store of the library \""+l.Name+"\" is busy; try again in a moment")
	case s != 0:
		return fail(tutti.KindUnavailable, "the object store of the library \""+l.Name+"\" has a problem; the log has the details")
	case errors.Is(err, context.Canceled):
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return fail(tutti.KindUnavailable, "the library \""+l.Name+"\" is away: its object store cannot be reached")
}
