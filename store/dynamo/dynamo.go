// Package dynamo keeps a store.Store in one table of DynamoDB, or of anything that speaks its protocol (DynamoDB Local,
// ScyllaDB Alternator, dynalite). It is the engine for a fleet.
//
// # The table
//
// One table, on demand, with the partition key pk and the sort key sk, both strings. An item of the store is one item of the
// table, i#PK / SK, with its value v, its version ver, its expiry exp in Unix seconds (which is also the table's TTL
// attribute), and a nonce w. A log is a partition l#NAME of records with the sequence number in twenty digits as the sort
// key, and an item m#NAME that says how far it was trimmed. Nothing is read with eventual consistency, and there
// are no transactions, no indices and no scans. docs/decisions/dynamodb.md says what each action costs.
//
// # When the answer is lost
//
// A write whose answer was lost is sent again. If its condition fails then, the item's nonce tells whether it was this
// very write that had changed it; where that cannot be told any more the error is KindUnavailable, as the contract
// says. So KindConflict always means that nothing was written.
//
// # Limits
//
// One partition of a table takes 1,000 write units (KB) and 3,000 read units (4 KB) a second
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html). A log is one
// partition: that is 1,000 records of up to 1 KB a second, and less of larger ones.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Config says which table, and how to reach it.
type Config struct {
	Table    string // required
	Region   string // "": what the SDK finds in its environment and files; us-east-1 where an Endpoint is given
	Endpoint string // http(s)://HOST[:PORT] of another engine than AWS's; "": AWS

	// Credentials are for signing; nil: the SDK's usual chain (environment, ~/.aws, web identity, container, instance). An Endpoint
	// on loopback for which the chain finds none gets made-up ones, which the local engines accept.
	Credentials aws.CredentialsProvider

	Clock  clock.Clock  // for the expiry of items and the pauses between attempts; required
	Logger *slog.Logger // nil: slog.Default()
	Prices Prices       // zero: DefaultPrices

	Attempts       int               // of one request; 0: 5
	AttemptTimeout time.Duration     // after which the first and the second attempt count as lost; further ones have two and four times as long; 0: 750 ms
	Transport      http.RoundTripper // nil: connections of this Store's own. Close leaves a given one alone

	// Tags are what Init gives the table, so that a bill can be read.
	Tags map[string]string
}

const (
	defaultAttempts = 5
	// A connection of the pool that is dead without saying so costs an attempt, and those who ask wait for two seconds or
	// three: two such connections must fit. The service answers within milliseconds; what takes longer because an
	// answer of megabytes comes over a slow line is left to the later attempts.
	defaultAttemptTimeout = 750 * time.Millisecond
	patientFrom           = 3 // the attempt as of which the time is doubled
	patientMost           = 4 // times AttemptTimeout

	// The pause before attempt n is drawn evenly from 0 to base·2ⁿ, at most pauseMax ("full jitter":
	// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The base is that of the AWS SDKs for DynamoDB.
	pauseBase = 25 * time.Millisecond
	pauseMax  = time.Second

	// Every retry takes retryCost tokens of a bucket into which every success puts one back. So a database in trouble is
	// sent a fifth more than it can answer, and not Attempts times as much.
	retryTokens = 500
	retryCost   = 5
)

// Store is an open table. It implements store.Store, and prometheus.Collector with what it consumes.
type Store struct {
	db             *dynamodb.Client
	table          string
	clock          clock.Clock
	logger         *slog.Logger
	attempts       int
	attemptTimeout time.Duration
	budget         *ratelimit.TokenRateLimit
	own            *http.Transport // nil where the transport was given
	tails          tails
	*meter

	closing sync.RWMutex // held for reading by each call
	closed  bool
}

var _ store.Store = (*Store)(nil)

// Open connects to a table. It returns KindNotFound, and says what to do, where there is none, KindInvalid where the
// table is not one of Init's, and KindUnavailable where the database does not answer. The caller closes the Store.
func Open(ctx context.Context, c Config) (*Store, error) {
	const op = "dynamo.Open"
	s, err := connect(ctx, op, c)
	if err != nil {
		return nil, err
	}
	if err := s.checkTable(ctx, op); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes a Store without asking whether there is such a table.
func connect(ctx context.Context, op string, c Config) (*Store, error) {
	if c.Table == "" {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the name of the DynamoDB table is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Attempts <= 0 {
		c.Attempts = defaultAttempts
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = defaultAttemptTimeout
	}
	if c.Prices == (Prices{}) {
		c.Prices = DefaultPrices
	}
	s := &Store{
		table:          c.Table,
		clock:          c.Clock,
		logger:         c.Logger.With("table", c.Table),
		attempts:       c.Attempts,
		attemptTimeout: c.AttemptTimeout,
		budget:         ratelimit.NewTokenRateLimit(retryTokens),
		meter:          newMeter(c.Prices, c.Clock.Now()),
	}
	loopback := false
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "the DynamoDB endpoint is not of the form http://HOST:PORT")
		}
		ip := net.ParseIP(u.Hostname())
		loopback = u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		if c.Region == "" {
			c.Region = "us-east-1"
		}
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(c.Credentials))
	}
	if loopback { // a local engine is no reason to ask the network for the identity of a cloud machine
		options = append(options, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	if sdk.Region == "" {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the DynamoDB table's region is missing")
	}
	if loopback && c.Credentials == nil {
		if sdk.Credentials == nil {
			sdk.Credentials = madeUp
		} else if _, err := sdk.Credentials.Retrieve(ctx); err != nil {
			sdk.Credentials = madeUp
		}
	}
	transport := c.Transport
	if transport == nil {
		s.own = newTransport(sdk)
		transport = s.own
	}
	s.db = dynamodb.NewFromConfig(sdk, func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: transport}
		o.Logger = sdkLogger{s.logger}
		// The SDK takes the checksum of an answer without reading it where it expects nothing in it, and then complains
		// about that. TLS guards an answer better.
		o.DisableValidateResponseChecksum = true
		o.Retryer = aws.NopRetryer{} // call retries: it has to know which attempts may have happened
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return s, nil
}

// sdkLogger passes on what the SDK has to say.
type sdkLogger struct{ *slog.Logger }

func (l sdkLogger) Logf(level logging.Classification, format string, args ...any) {
	to := slog.LevelDebug
	if level == logging.Warn {
		to = slog.LevelWarn
	}
	l.Log(context.Background(), to, fmt.Sprintf(format, args...))
}

var madeUp = credentials.NewStaticCredentialsProvider("local", "local", "")

// newTransport keeps enough connections open for a busy process: an exchange with the database takes a millisecond, a new
// TLS connection to it several. It takes the certificate authorities and the proxy from what the SDK was told of them.
func newTransport(sdk aws.Config) *http.Transport {
	var t *http.Transport
	if b, ok := sdk.HTTPClient.(*awshttp.BuildableClient); ok {
		t = b.GetTransport()
	} else {
		t = awshttp.NewBuildableClient().GetTransport()
	}
	t.DialContext = (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 2 * time.Second
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 256, 256, 256
	t.IdleConnTimeout = 50 * time.Second // less than the service's own minute, which would reset a request on its way
	return t
}

// Close waits for the calls in progress. Later ones return KindUnavailable.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.closed = true
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}

// sureness says what is known of a write whose condition failed.
type sureness bool

const (
	notOurs sureness = false // no attempt before can have happened
	unsure  sureness = true  // one before may have, its answer lost
)

// call runs fn, one attempt of one request, until it succeeds, fails for good, or patience ends. The error is classified
// but for a failed condition, which is returned as it came. sure tells what to make of that.
func (s *Store) call(ctx context.Context, op string, fn func(ctx context.Context) error) (sure sureness, err error) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return notOurs, tutti.Errorf(tutti.KindUnavailable, op, "the server is shutting down")
	}
	if err := ctx.Err(); err != nil {
		return notOurs, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, attempt, fn)
		if err == nil {
			return sure, s.budget.AddTokens(1)
		}
		var refused *types.ConditionalCheckFailedException
		if errors.As(err, &refused) {
			return sure, err
		}
		if ctx.Err() != nil {
			return unsure, &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Err: errors.Join(ctx.Err(), err)}
		}
		throttled := isThrottle(err)
		if !throttled && !isTransient(err) {
			return sure, classify(op, err)
		}
		if !throttled { // a timeout, a broken connection or a 500: it may have happened
			sure = unsure
		}
		s.failed(throttled)
		if attempt == s.attempts {
			return sure, classify(op, err)
		}
		if pauseErr := s.pause(ctx, attempt); pauseErr != nil {
			return sure, classify(op, errors.Join(err, pauseErr))
		}
	}
}

// attempt runs fn within the time that the n-th attempt has.
func (s *Store) attempt(ctx context.Context, n int, fn func(ctx context.Context) error) error {
	limit := s.attemptTimeout * time.Duration(min(1<<max(0, min(n, 10)+1-patientFrom), patientMost))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := s.clock.AfterFunc(limit, func() { cancel(errTimeout) })
	defer t.Stop()
	err := fn(ctx)
	if err != nil && context.Cause(ctx) == errTimeout {
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}

var errTimeout = errors.New("no answer in time")

// pause takes the retry's tokens and waits, longer the more attempts there have been.
func (s *Store) pause(ctx context.Context, attempt int) error {
	if _, err := s.budget.GetToken(ctx, retryCost); err != nil {
		return err
	}
	most := min(pauseBase<<min(attempt, 10), pauseMax)
	return clock.Sleep(ctx, s.clock, rand.N(most))
}

func isThrottle(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary
}

func isTransient(err error) bool {
	var failure *types.InternalServerError
	var cut *smithy.DeserializationError // an answer that ended too early, or was none
	return errors.Is(err, errTimeout) || errors.As(err, &failure) || errors.As(err, &cut) ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// classify says what kind of error the database's is.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	kind, message := tutti.KindInternal, ""
	var missing *types.ResourceNotFoundException
	var api interface{ ErrorCode() string }
	switch {
	case isThrottle(err):
		kind, message = tutti.KindUnavailable, "the database is overloaded; try again later"
	case errors.As(err, &missing):
		kind, message = tutti.KindUnavailable, "the database's table has gone; run tutti store init"
	case errors.As(err, &api):
		switch api.ErrorCode() {
		case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
			"MissingAuthenticationTokenException", "IncompleteSignatureException":
			kind, message = tutti.KindUnavailable, "the database refuses this server's credentials; the log says why"
		case "ValidationException", "SerializationException":
			// A defect of ours: what we send was checked before.
		default:
			kind = tutti.KindUnavailable
		}
	default:
		kind = tutti.KindUnavailable
	}
	return &tutti.Error{Kind: kind, Op: op, Message: message, Err: err}
}

// now is the time by which items expire, in Unix seconds.
func (s *Store) now() int64 { return s.clock.Now().Unix() }
