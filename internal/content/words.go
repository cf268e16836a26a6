package content

import (
	"golang.org/x/text/language"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const contentTypes = int(rousev1.ContentType_CONTENT_TYPE_CUSTOM) + 1

// words of one language. {0} is the sender.
type words struct {
	lang                                string
	news, tap                           string
	mention, mentionInGroup, mentionAll string
	recalled                            string
	kinds                               [contentTypes]string // stand for messages without text
}

// kinds are the words for image, voice, video, file, location and other messages.
func kinds(image, voice, video, file, location, custom string) [contentTypes]string {
	return [contentTypes]string{
		rousev1.ContentType_CONTENT_TYPE_IMAGE: image, rousev1.ContentType_CONTENT_TYPE_VOICE: voice,
		rousev1.ContentType_CONTENT_TYPE_VIDEO: video, rousev1.ContentType_CONTENT_TYPE_FILE: file,
		rousev1.ContentType_CONTENT_TYPE_LOCATION: location, rousev1.ContentType_CONTENT_TYPE_CUSTOM: custom,
	}
}

// english is the index of what stands for languages that are missing.
const english = 0

var vocabulary = []words{
	{
		"en", "You have a new message", "Tap to view",
		"{0} mentioned you", "{0} mentioned you in the group", "{0} mentioned everyone in the group", "A message was recalled",
		kinds("[Image]", "[Voice]", "[Video]", "[File]", "[Location]", "[Custom message]"),
	},
	{
		"zh-Hans", "您有一条新消息", "请点击查看",
		"{0}提到了您", "{0}在群组中提到了您", "{0}在群组中提到了所有人", "消息已撤回",
		kinds("[图片]", "[语音]", "[视频]", "[文件]", "[位置]", "[自定义消息]"),
	},
	{
		"zh-Hant", "您有一則新訊息", "請點擊查看",
		"{0}提到了您", "{0}在群組中提到了您", "{0}在群組中提到了所有人", "訊息已收回",
		kinds("[圖片]", "[語音]", "[影片]", "[檔案]", "[位置]", "[自訂訊息]"),
	},
	{
		"ja", "新着メッセージがあります", "タップして表示",
		"{0}さんがあなたをメンションしました", "{0}さんがグループであなたをメンションしました", "{0}さんがグループで全員をメンションしました", "メッセージが取り消されました",
		kinds("[画像]", "[音声]", "[動画]", "[ファイル]", "[位置情報]", "[カスタムメッセージ]"),
	},
	{
		"ko", "새 메시지가 있습니다", "눌러서 보기",
		"{0}님이 회원님을 멘션했습니다", "{0}님이 그룹에서 회원님을 멘션했습니다", "{0}님이 그룹에서 모두를 멘션했습니다", "메시지가 회수되었습니다",
		kinds("[사진]", "[음성]", "[동영상]", "[파일]", "[위치]", "[사용자 지정 메시지]"),
	},
	{
		"es", "Tienes un mensaje nuevo", "Toca para verlo",
		"{0} te ha mencionado", "{0} te ha mencionado en el grupo", "{0} ha mencionado a todos en el grupo", "Se ha retirado un mensaje",
		kinds("[Imagen]", "[Audio]", "[Vídeo]", "[Archivo]", "[Ubicación]", "[Mensaje personalizado]"),
	},
	{
		"fr", "Vous avez un nouveau message", "Touchez pour l’afficher",
		"{0} vous a mentionné", "{0} vous a mentionné dans le groupe", "{0} a mentionné tout le groupe", "Un message a été retiré",
		kinds("[Image]", "[Audio]", "[Vidéo]", "[Fichier]", "[Position]", "[Message personnalisé]"),
	},
	{
		"de", "Sie haben eine neue Nachricht", "Zum Ansehen tippen",
		"{0} hat Sie erwähnt", "{0} hat Sie in der Gruppe erwähnt", "{0} hat alle in der Gruppe erwähnt", "Eine Nachricht wurde zurückgezogen",
		kinds("[Bild]", "[Sprachnachricht]", "[Video]", "[Datei]", "[Standort]", "[Benutzerdefinierte Nachricht]"),
	},
	{
		"pt", "Você tem uma nova mensagem", "Toque para ver",
		"{0} mencionou você", "{0} mencionou você no grupo", "{0} mencionou todos no grupo", "Uma mensagem foi apagada",
		kinds("[Imagem]", "[Áudio]", "[Vídeo]", "[Arquivo]", "[Localização]", "[Mensagem personalizada]"),
	},
	{
		"ru", "Новое сообщение", "Нажмите, чтобы посмотреть",
		"Вас упоминает {0}", "В группе вас упоминает {0}", "В группе всех упоминает {0}", "Сообщение отозвано",
		kinds("[Изображение]", "[Голосовое сообщение]", "[Видео]", "[Файл]", "[Местоположение]", "[Другое сообщение]"),
	},
	{
		"vi", "Bạn có tin nhắn mới", "Nhấn để xem",
		"{0} đã nhắc đến bạn", "{0} đã nhắc đến bạn trong nhóm", "{0} đã nhắc đến mọi người trong nhóm", "Một tin nhắn đã được thu hồi",
		kinds("[Hình ảnh]", "[Tin nhắn thoại]", "[Video]", "[Tệp]", "[Vị trí]", "[Tin nhắn tùy chỉnh]"),
	},
	{
		"id", "Anda memiliki pesan baru", "Ketuk untuk melihat",
		"{0} menyebut Anda", "{0} menyebut Anda di grup", "{0} menyebut semua orang di grup", "Sebuah pesan ditarik kembali",
		kinds("[Gambar]", "[Suara]", "[Video]", "[Berkas]", "[Lokasi]", "[Pesan khusus]"),
	},
}

var tongues = func() *chooser {
	var tags []language.Tag
	for i := range vocabulary {
		tags = append(tags, language.MustParse(vocabulary[i].lang))
	}
	return newChooser(tags, english)
}()

func wordsOf(lang string) *words { return &vocabulary[tongues.pick(lang)] }
