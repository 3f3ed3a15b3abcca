# While an incident is dealt with, nothing goes to those who are affected, and
# nothing is lost: it waits until the layer is changed.
package gxbus.division.d440000

affected := {"1144010699990002XN"}

hold contains {
	"code": "incident",
	"zh": "该部门正在处置网络安全事件，数据暂存不送出；处置完毕后自动恢复，请向省政务数据主管部门了解进展。",
	"en": "The department is dealing with a security incident and its data is held; it is sent afterwards, ask the province's data authority how it stands.",
} if {
	input.action in {"forward", "deliver", "query"}
	input.consumer.department in affected
}
