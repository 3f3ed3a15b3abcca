# A consumer's own rule: of its systems only the registered one takes delivery, not
# a test system that was given a credential.
package gxbus.department.d1144010699990002XN

receiving := {"sample-44010699990002x"}

deny contains {
	"code": "system-not-named",
	"zh": "本部门仅允许已登记的业务系统接收数据；请使用该系统，或由本部门安全管理员登记。",
	"en": "This department lets its named systems receive; use one of them, or have this one named.",
} if {
	input.action in {"subscribe", "deliver", "query"}
	input.consumer.department == "1144010699990002XN"
	not named
}

named if input.consumer.system in receiving
