// Does what the tutorial's room.js does: the same address, frames, types and fields, and the same message for frames it
// does not know. tutorial.test.mjs serves it from tandem's own origin.
const roomName = JSON.parse(document.getElementById('roomName').textContent);
const chatLog = document.querySelector('#chatLog');
const chatMessageInput = document.querySelector('#chatMessageInput');
const chatMessageSend = document.querySelector('#chatMessageSend');
const onlineUsersSelector = document.querySelector('#onlineUsersSelector');
let chatSocket = null;

function onlineUsersSelectorAdd(value) {
  if (document.querySelector("option[value='" + value + "']")) return;
  const newOption = document.createElement('option');
  newOption.value = value;
  newOption.innerHTML = value;
  onlineUsersSelector.appendChild(newOption);
}

function onlineUsersSelectorRemove(value) {
  const oldOption = document.querySelector("option[value='" + value + "']");
  if (oldOption !== null) oldOption.remove();
}

chatMessageInput.onkeyup = (e) => { if (e.keyCode === 13) chatMessageSend.click(); };

chatMessageSend.onclick = () => {
  if (chatMessageInput.value.length === 0) return;
  chatSocket.send(JSON.stringify({ message: chatMessageInput.value }));
  chatMessageInput.value = '';
};

onlineUsersSelector.onchange = () => {
  chatMessageInput.value = '/pm ' + onlineUsersSelector.value + ' ';
  onlineUsersSelector.value = null;
  chatMessageInput.focus();
};

function connect() {
  chatSocket = new WebSocket('ws://' + window.location.host + '/ws/chat/' + roomName + '/');
  chatSocket.onclose = () => setTimeout(connect, 2000);
  chatSocket.onerror = () => chatSocket.close();
  chatSocket.onmessage = (e) => {
    const data = JSON.parse(e.data);
    switch (data.type) {
      case 'chat_message':
        chatLog.value += data.user + ': ' + data.message + '\n';
        break;
      case 'user_list':
        for (let i = 0; i < data.users.length; i++) onlineUsersSelectorAdd(data.users[i]);
        break;
      case 'user_join':
        chatLog.value += data.user + ' joined the room.\n';
        onlineUsersSelectorAdd(data.user);
        break;
      case 'user_leave':
        chatLog.value += data.user + ' left the room.\n';
        onlineUsersSelectorRemove(data.user);
        break;
      case 'private_message':
        chatLog.value += 'PM from ' + data.user + ': ' + data.message + '\n';
        break;
      case 'private_message_delivered':
        chatLog.value += 'PM to ' + data.target + ': ' + data.message + '\n';
        break;
      default:
        console.error('Unknown message type!');
        break;
    }
    chatLog.scrollTop = chatLog.scrollHeight;
  };
}
connect();
