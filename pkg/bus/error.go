package bus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Code names a failure. Codes are stable: clients match on them.
type Code string

// Kind groups codes by what the caller can do about them. Faces map kinds, not
// codes, to their protocol (HTTP status, exit code).
type Kind int

// The kinds of failure.
const (
	KindInternal        Kind = iota // our fault; the cause is logged, never sent
	KindInvalid                     // the request is wrong; repeating it does not help
	KindUnauthenticated             // who are you?
	KindForbidden                   // you may not
	KindNotFound                    // absent, or not for you to see
	KindConflict                    // contradicts what is there
	KindPrecondition                // the expected revision is not the present one
	KindGone                        // it was there, and is no longer kept
	KindTooLarge                    // over a stated cap
	KindUnsupported                 // media type or encoding not understood
	KindRateLimited                 // slow down
	KindUnavailable                 // not now; repeat later
	KindStorageFull                 // no room to keep what an acknowledgement would promise
	KindProvider                    // the provider's system failed
	KindLate                        // no answer in time
)

// The codes of the bus. Each has one line in the table below.
const (
	CodeInternal           Code = "internal"
	CodeInvalid            Code = "invalid-argument"
	CodeMalformedJSON      Code = "malformed-json"
	CodeMalformedEvent     Code = "malformed-event"
	CodeUnauthenticated    Code = "unauthenticated"
	CodePasswordChange     Code = "password-change-required"
	CodeTokenRefused       Code = "join-token-refused"
	CodeForbidden          Code = "forbidden"
	CodeSourceMismatch     Code = "source-mismatch"
	CodeDenied             Code = "denied-by-policy"
	CodeNotFound           Code = "not-found"
	CodeExists             Code = "already-exists"
	CodeEventConflict      Code = "event-conflict"
	CodeSchema             Code = "schema-mismatch"
	CodeInUse              Code = "in-use"
	CodeForeignCluster     Code = "foreign-cluster"
	CodeRevision           Code = "revision-mismatch"
	CodeResync             Code = "resync-required"
	CodeTooLarge           Code = "too-large"
	CodeUnsupported        Code = "unsupported-media-type"
	CodeRateLimited        Code = "rate-limited"
	CodeNoLeader           Code = "no-leader"
	CodeUnavailable        Code = "unavailable"
	CodePeerUnreachable    Code = "peer-unreachable"
	CodeWrongNode          Code = "wrong-node"
	CodeUndecided          Code = "policy-undecided"
	CodeStorageFull        Code = "storage-full"
	CodeLogFull            Code = "log-full"
	CodeInboxFull          Code = "inbox-full"
	CodeSecret             Code = "secrecy-marked"
	CodeIncomplete         Code = "incomplete"
	CodeWrongState         Code = "wrong-state"
	CodeClaim              Code = "claim-undecided"
	CodeAlreadyInitialized Code = "already-initialized"
	CodeNotInitialized     Code = "not-initialized"
	CodePolicyRefused      Code = "policy-refused"
	CodeEvidence           Code = "evidence-not-verified"
	CodeCutOff             Code = "cut-off"
	CodeQuorumStands       Code = "quorum-not-lost"
	CodeQuorum             Code = "quorum-at-risk"
	CodeNodeRemoved        Code = "node-removed"
	CodeMoving             Code = "department-moving"
	CodeLocked             Code = "sign-in-locked"
	CodeNotShared          Code = "not-shared"
	CodeHeld               Code = "held-by-policy"

	CodeRequestConflict     Code = "request-conflict"
	CodeNotBound            Code = "not-bound"
	CodeProviderUnreachable Code = "provider-unreachable"
	CodeProviderAnswer      Code = "provider-answer-unusable"
	CodeLate                Code = "deadline-exceeded"
	CodeEndpointUnreachable Code = "endpoint-unreachable"
	CodeEndpointRefused     Code = "endpoint-refused"
)

type codeInfo struct {
	kind Kind
	text Text
}

var codes = map[Code]codeInfo{
	CodeInternal:           {KindInternal, Text{"内部错误，已记录", "internal error; it has been logged"}},
	CodeInvalid:            {KindInvalid, Text{"请求内容不符合要求", "the request is not valid"}},
	CodeMalformedJSON:      {KindInvalid, Text{"JSON 格式不正确", "the JSON is not well-formed"}},
	CodeMalformedEvent:     {KindInvalid, Text{"事件不符合 CloudEvents 1.0.2", "the event does not follow CloudEvents 1.0.2"}},
	CodeUnauthenticated:    {KindUnauthenticated, Text{"身份凭证缺失或无效", "the credential is missing or not valid"}},
	CodePasswordChange:     {KindForbidden, Text{"首次登录须修改一次性口令", "the one-time password must be changed at the first sign-in"}},
	CodeTokenRefused:       {KindForbidden, Text{"入网令牌无效、已使用或已过期", "the join token is unknown, used or expired"}},
	CodeForbidden:          {KindForbidden, Text{"当前身份无权执行此操作", "this principal may not do this"}},
	CodeSourceMismatch:     {KindForbidden, Text{"事件来源不属于当前系统", "the event's source does not belong to this system"}},
	CodeDenied:             {KindForbidden, Text{"共享策略不允许", "a sharing policy denies this"}},
	CodeNotFound:           {KindNotFound, Text{"不存在", "not found"}},
	CodeExists:             {KindConflict, Text{"已存在", "already exists"}},
	CodeEventConflict:      {KindConflict, Text{"同一来源和编号的事件内容不同", "an event with this source and id but another content was accepted before"}},
	CodeSchema:             {KindInvalid, Text{"数据不符合资源的数据结构", "the data is not what the resource's schema says"}},
	CodeInUse:              {KindConflict, Text{"正被使用", "still in use"}},
	CodeForeignCluster:     {KindConflict, Text{"属于另一个集群", "belongs to another cluster"}},
	CodeRevision:           {KindPrecondition, Text{"修订号已变化，请重新读取", "the revision has changed; read again"}},
	CodeResync:             {KindGone, Text{"变更记录已不完整，请重新同步", "the changes asked for are no longer kept; read the directory anew"}},
	CodeTooLarge:           {KindTooLarge, Text{"超过大小上限", "over the size limit"}},
	CodeUnsupported:        {KindUnsupported, Text{"不支持的媒体类型或编码", "media type or encoding not supported"}},
	CodeRateLimited:        {KindRateLimited, Text{"请求过于频繁", "too many requests"}},
	CodeNoLeader:           {KindUnavailable, Text{"目录暂无主节点，请稍后重试", "the directory has no leader now; try again"}},
	CodeUnavailable:        {KindUnavailable, Text{"暂不可用，请稍后重试", "not available now; try again"}},
	CodePeerUnreachable:    {KindUnavailable, Text{"无法连接另一节点，请稍后重试", "another node cannot be reached; try again"}},
	CodeWrongNode:          {KindConflict, Text{"请连接本部门所在的节点", "this department is served by another node"}},
	CodeNotShared:          {KindForbidden, Text{"该资源不予共享，不能申请", "the resource is not shared, and cannot be applied for"}},
	CodeMoving:             {KindUnavailable, Text{"部门正在迁移到另一节点，请稍后重试", "the department is moving to another node; try again"}},
	CodeUndecided:          {KindUnavailable, Text{"策略暂时无法裁决，按拒绝处理，请稍后重试", "the policies cannot be decided now, which denies; try again"}},
	CodeHeld:               {KindUnavailable, Text{"共享策略要求暂缓，数据已保留，请稍后重试", "a sharing policy holds this for now; what waits is kept, try again"}},
	CodeStorageFull:        {KindStorageFull, Text{"存储空间不足，未写入", "storage is full; nothing was written"}},
	CodeLogFull:            {KindStorageFull, Text{"事件日志已满，未接收", "the log of events is full; nothing was taken"}},
	CodeInboxFull:          {KindUnavailable, Text{"收件箱已满，事件留在提供方节点，取走后自动续传", "the inbox is full; events wait at the provider's node until some are acknowledged"}},
	CodeSecret:             {KindInvalid, Text{"涉密资源不得编目", "a resource with a secrecy mark is not catalogued"}},
	CodeIncomplete:         {KindInvalid, Text{"内容不完整，以下各项须一次补正", "it is not complete; this is all that it lacks"}},
	CodeWrongState:         {KindConflict, Text{"当前状态不允许此操作", "it is in another state"}},
	CodeClaim:              {KindConflict, Text{"一数一源有争议，待数据主管部门裁定", "another resource is the source of this data; the data authority has to decide first"}},
	CodeAlreadyInitialized: {KindConflict, Text{"数据目录已初始化", "the data directory is already initialised"}},
	CodeNotInitialized:     {KindConflict, Text{"数据目录尚未初始化", "the data directory is not initialised"}},
	CodeCutOff:             {KindConflict, Text{"本节点已被排除：集群在失去多数后已另行恢复", "this node was cut off: the group was recovered without it"}},
	CodeQuorumStands:       {KindConflict, Text{"仍有多数成员可达，不得强行恢复", "a majority can still be reached; there is nothing to recover from"}},
	CodeEvidence:           {KindConflict, Text{"存证日志未通过验证", "the evidence log does not verify"}},
	CodeQuorum:             {KindConflict, Text{"此操作将危及目录的多数派", "this would put the directory's quorum at risk"}},
	CodeNodeRemoved:        {KindForbidden, Text{"该节点已被移出总线，不可再加入", "this node was removed from the bus, for good"}},
	CodePolicyRefused:      {KindInvalid, Text{"策略未通过检查", "the policy was refused"}},

	CodeRequestConflict:     {KindConflict, Text{"同一请求编号已用于内容不同的请求", "this request id was used for another request"}},
	CodeNotBound:            {KindConflict, Text{"资源尚未挂接服务", "the resource is not bound to a service"}},
	CodeProviderUnreachable: {KindProvider, Text{"提供部门的系统没有应答", "the provider's system does not answer"}},
	CodeProviderAnswer:      {KindProvider, Text{"提供部门系统拒绝了请求，或其应答不可用", "the provider's system refused, or what it answered cannot be passed on"}},
	CodeEndpointUnreachable: {KindUnavailable, Text{"使用部门的接收端点无法连接", "the consumer's endpoint cannot be reached"}},
	CodeEndpointRefused:     {KindUnavailable, Text{"使用部门的接收端点未接收", "the consumer's endpoint does not take it"}},
	CodeLate:                {KindLate, Text{"未能在时限内应答", "there was no answer in time"}},

	CodeLocked: {KindRateLimited, Text{"登录失败次数过多，暂时锁定", "too many failed sign-ins; locked for a while"}},
}

// Codes lists every stable code in alphabetical order, for documentation and
// exhaustive tests.
func Codes() []Code { return slices.Sorted(maps.Keys(codes)) }

// Kind returns the kind of c; an unknown code is internal.
func (c Code) Kind() Kind { return codes[c].kind }

// Text returns the sentence that goes with c; that of CodeInternal for an
// unknown code.
func (c Code) Text() Text {
	if info, ok := codes[c]; ok {
		return info.text
	}
	return codes[CodeInternal].text
}

// Known reports whether c is a code of this release.
func (c Code) Known() bool {
	_, ok := codes[c]
	return ok
}

// Defect is one thing wrong with one field of a request.
type Defect struct {
	Field   string `json:"field"`             // path in the request, e.g. "items[2].type"
	Problem Text   `json:"problem"`           // what is wrong
	Allowed string `json:"allowed,omitempty"` // what would be right
}

// Error is a failure that a person or a client can act on: a stable code, every
// defect at once, and a cause that stays inside the node.
type Error struct {
	Code       Code
	Defects    []Defect
	DecisionID string        // where a policy spoke
	RetryAfter time.Duration // when it is worth repeating; 0: not stated
	Err        error         // cause; logged, never sent to a client
}

// E makes an Error with the defects that led to it.
func E(code Code, defects ...Defect) *Error { return &Error{Code: code, Defects: defects} }

// Because returns e with its cause set.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// After returns e with when to repeat.
func (e *Error) After(wait time.Duration) *Error {
	e.RetryAfter = wait
	return e
}

// Error gives the English text, the defects and the cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Code, e.Code.Text().EN)
	for i, d := range e.Defects {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + d.In(English))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// In gives the defect as one line in lang.
func (d Defect) In(lang Lang) string {
	line := d.Problem.In(lang)
	if d.Field != "" {
		line = d.Field + ": " + line
	}
	if d.Allowed == "" {
		return line
	}
	if lang == Chinese {
		return line + "（允许：" + d.Allowed + "）"
	}
	return line + " (allowed: " + d.Allowed + ")"
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain, CodeInternal for
// any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Invalid makes a CodeInvalid error from defects, or nil where there are none.
func Invalid(defects []Defect) error {
	if len(defects) == 0 {
		return nil
	}
	return E(CodeInvalid, defects...)
}

// NotFound makes a CodeNotFound error that names what was looked for.
func NotFound(field, value string) *Error {
	return E(CodeNotFound, Defect{Field: field, Problem: Text{"不存在：" + value, "no such " + field + ": " + value}})
}
