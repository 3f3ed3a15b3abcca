package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxRetryAfter is the longest wait a node can ask for; over it the caller is
// told instead.
const maxRetryAfter = time.Minute

var errAttemptTimeout = errors.New("no answer in time")

// answer is an error answer on its way through send.
type answer struct {
	problem    *Problem
	retryAfter time.Duration // -1: not asked for
}

func (a *answer) Error() string { return a.problem.Error() }
func (a *answer) Unwrap() error { return a.problem }

// repeatable says whether a call that failed with err may be made again, and
// how long the node asks to wait first. Every write carries an idempotency key,
// so that one which was carried out without our hearing of it is not done twice.
func repeatable(err error, dialOnly bool) (bool, time.Duration) {
	if a, ok := errors.AsType[*answer](err); ok {
		busy := a.problem.Status == http.StatusServiceUnavailable ||
			a.problem.Status == http.StatusTooManyRequests && a.retryAfter >= 0
		return busy && !dialOnly && a.retryAfter <= maxRetryAfter, max(a.retryAfter, 0)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || errors.Is(err, context.Canceled) {
		return false, 0
	}
	if dialOnly {
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial", 0
	}
	return true, 0
}

// retryAfter reads RFC 9110 §10.2.3, both forms; -1 where there is none.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return -1
}

// jitter spreads the repetitions of many clients over (wait/2, wait].
func jitter(wait time.Duration) time.Duration {
	return wait - time.Duration(rand.Int64N(int64(wait)/2+1))
}

// pause waits, and reports whether there is still time for an attempt after it.
func pause(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// bare takes the method and URL off a transport error; send names them itself.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
