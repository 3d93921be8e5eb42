package worker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	transferTime   = 30 * time.Second // of one small file (contract 2.3, 2.4)
	transferRate   = 1 << 20          // bytes/s that a larger one must reach
	maxErrorBody   = 500              // bytes of a server's complaint that are passed on
	maxIdlePerHost = 8

	transfersAtOnce = 4 // files of one call
)

// newTransfer makes the client for presigned URLs. It is of its own: a proxy
// of the environment would see them, and no redirect may lead elsewhere
// without end.
func newTransfer() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: maxIdlePerHost,
		IdleConnTimeout:     time.Minute,
	}}
}

// statusError is an answer other than 200.
type statusError struct {
	code int
	body string
}

func (e *statusError) Error() string { return fmt.Sprintf("HTTP %d - %s", e.code, e.body) }

// download reads a file of at most limit bytes.
func (t transfer) download(ctx context.Context, address string, limit int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, withoutAddress(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, complaint(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("the file is larger than %d KiB", limit>>10)
	}
	return data, nil
}

// upload writes a file to a presigned URL.
func (t transfer) upload(ctx context.Context, address string, content []byte) error {
	patience := transferTime + time.Duration(len(content)/transferRate)*time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return withoutAddress(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return complaint(resp)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody)) // so that the connection is used again
	return nil
}

func complaint(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what arrived of it will do
	return &statusError{code: resp.StatusCode, body: string(bytes.ToValidUTF8(body, []byte("\uFFFD")))}
}

// withoutAddress keeps a presigned URL, which is a secret for its lifetime,
// out of error texts.
func withoutAddress(err error) error {
	if e, ok := err.(*url.Error); ok {
		return e.Err
	}
	return err
}

// bare is an address without the signature of its query.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an invalid address"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
