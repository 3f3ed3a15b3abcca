package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/sql/v2/runtime"

	"github.com/gxbus/gxbus/pkg/bus"
)

// parse reads a CloudEvents SQL expression. The library's own parser panics on some
// bad ones, passes over characters that it does not know, and says of none where it
// is bad. So its grammar is asked first, with a listener that does.
func parse(text string) (expression cesql.Expression, defects []bus.Defect) {
	defer func() {
		if r := recover(); r != nil {
			expression, defects = nil, []bus.Defect{misread(0, 0, fmt.Sprint(r))}
		}
	}()
	if defects := syntax(text); len(defects) > 0 {
		return nil, defects
	}
	expression, err := parser.Parse(text)
	if err != nil {
		return nil, []bus.Defect{misread(0, 0, strings.TrimPrefix(err.Error(), "parse error: "))}
	}
	return expression, nil
}

// misread tells what is wrong with an expression, on which line of it, from 1, after how
// many characters; line 0 for nowhere in particular.
func misread(line, column int, why string) bus.Defect {
	problem := bus.Text{ZH: "表达式有误：" + why, EN: "the expression is wrong: " + why}
	if line > 0 {
		problem = bus.Text{
			ZH: fmt.Sprintf("表达式第 %d 行第 %d 个字符处有误：%s", line, column+1, why),
			EN: fmt.Sprintf("the expression is wrong at line %d, character %d: %s", line, column+1, why),
		}
	}
	return bus.Defect{Problem: problem, Allowed: "a CloudEvents SQL 1.0 expression"}
}

// syntax holds an expression to the grammar, its functions to those that there are and
// its integers to 32 bits.
func syntax(text string) []bus.Defect {
	var heard listener
	lexer := gen.NewCESQLParserLexer(parser.NewCaseChangingStream(antlr.NewInputStream(text), true))
	lexer.RemoveErrorListeners()
	lexer.AddErrorListener(&heard)
	grammar := gen.NewCESQLParserParser(antlr.NewCommonTokenStream(lexer, antlr.TokenDefaultChannel))
	grammar.RemoveErrorListeners()
	grammar.AddErrorListener(&heard)
	tree := grammar.Cesql()
	if len(heard.defects) == 0 {
		heard.meanings(tree)
	}
	return heard.defects
}

// listener collects what the grammar has to say.
type listener struct {
	antlr.DefaultErrorListener
	defects []bus.Defect
}

const maxMisread = 4 // defects of one expression that are told

func (l *listener) SyntaxError(_ antlr.Recognizer, _ any, line, column int, why string, _ antlr.RecognitionException) {
	if len(l.defects) < maxMisread {
		l.defects = append(l.defects, misread(line, column, why))
	}
}

// meanings finds what the grammar lets pass and nothing can mean: calls of functions that
// there are not, and integers out of range.
func (l *listener) meanings(tree antlr.Tree) {
	wrong := func(at antlr.Token, why string) { l.SyntaxError(nil, nil, at.GetLine(), at.GetColumn(), why, nil) }
	if number, ok := tree.(*gen.IntegerLiteralContext); ok {
		if _, err := strconv.ParseInt(number.GetText(), 10, 32); err != nil {
			wrong(number.GetStart(), number.GetText()+" is out of range")
		}
	}
	if call, ok := tree.(*gen.FunctionInvocationExpressionContext); ok {
		name := call.FunctionIdentifier().GetText()
		arguments := 0
		if list, ok := call.FunctionParameterList().(*gen.FunctionParameterListContext); ok {
			arguments = len(list.AllExpression())
		}
		if runtime.ResolveFunction(name, arguments) == nil {
			wrong(call.FunctionIdentifier().GetStart(), fmt.Sprintf("there is no function %s of %d arguments", name, arguments))
		}
	}
	for _, child := range tree.GetChildren() {
		l.meanings(child)
	}
}
