#include <curl/curl.h>

/* curl_easy_setopt is variadic, which Swift does not import: one function for each kind of value. */
static inline CURLcode asm_curl_set_long(CURL *curl, CURLoption option, long value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode asm_curl_set_text(CURL *curl, CURLoption option, const char *value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode asm_curl_set_pointer(CURL *curl, CURLoption option, void *value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode asm_curl_set_read(CURL *curl, curl_read_callback read) {
  return curl_easy_setopt(curl, CURLOPT_READFUNCTION, read);
}
static inline CURLcode asm_curl_set_header(CURL *curl, curl_write_callback header) {
  return curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header);
}
static inline CURLcode asm_curl_set_write(CURL *curl, curl_write_callback write) {
  return curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write);
}
static inline CURLcode asm_curl_set_progress(CURL *curl, curl_xferinfo_callback progress) {
  return curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
}
/* The code of the last reply, without that to QUIT; 0 when there was none. */
static inline long asm_curl_response_code(CURL *curl) {
  long code = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  return code;
}
