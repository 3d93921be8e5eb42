package hypha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Progress is told how many bytes of total have passed (total is -1 when unknown); it must not block.
type Progress func(done, total int64)

// HTTPError is an answer that is no success.
type HTTPError struct {
	Status int
	// Body is the beginning of the answer.
	Body string
}

func (e *HTTPError) Error() string {
	text := fmt.Sprintf("HTTP status %d", e.Status)
	if e.Body != "" {
		text += ": " + e.Body
	}
	return text
}

// PutFile uploads size bytes to a presigned URL. client may be nil for the default one, progress nil for none. The URL's query is a
// secret and is in no error.
func PutFile(ctx context.Context, client *http.Client, to string, body io.Reader, size int64, progress Progress) error {
	counted := &countingReader{Reader: io.LimitReader(body, size), total: size, progress: progress}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, to, counted)
	if err != nil {
		return fmt.Errorf("put %s: %w", withoutQuery(to), bare(err))
	}
	request.ContentLength = size
	if size == 0 {
		request.Body = http.NoBody // else the length would be taken as unknown, which S3 refuses
	}
	response, err := do(client, request)
	if err != nil {
		return fmt.Errorf("put %s: %w", withoutQuery(to), err)
	}
	return response.Body.Close()
}

// GetFile downloads a presigned URL into w and returns how many bytes it had.
func GetFile(ctx context.Context, client *http.Client, from string, w io.Writer, progress Progress) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", withoutQuery(from), bare(err))
	}
	response, err := do(client, request)
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", withoutQuery(from), err)
	}
	defer response.Body.Close()
	n, err := io.Copy(w, &countingReader{Reader: response.Body, total: response.ContentLength, progress: progress})
	if err != nil {
		return n, fmt.Errorf("get %s: %w", withoutQuery(from), err)
	}
	return n, nil
}

// do makes a request; an answer that is no success becomes an *HTTPError.
func do(client *http.Client, request *http.Request) (*http.Response, error) {
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 2048)) // what there is of an explanation
	return nil, &HTTPError{Status: response.StatusCode, Body: strings.TrimSpace(string(text))}
}

// bare takes the URL, with its secret query, out of an error.
func bare(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func withoutQuery(address string) string {
	path, _, _ := strings.Cut(address, "?")
	return path
}

// countingReader tells of progress.
type countingReader struct {
	io.Reader
	done, total int64
	progress    Progress
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.done += int64(n)
	if r.progress != nil && n > 0 {
		r.progress(r.done, r.total)
	}
	return n, err
}
