// k6's side of the bare GET.
import http from 'k6/http';
export const options = { vus: 50, duration: __ENV.TIME, discardResponseBodies: false };
export default function () { http.get(__ENV.URL); }
